// A run: nodes, controller, producers, consumers and faults, from one seed.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "tests/sim/replication/checker.h"
#include "tests/sim/replication/consumer.h"
#include "tests/sim/replication/controller.h"
#include "tests/sim/replication/nemesis.h"
#include "tests/sim/replication/network.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/producer.h"
#include "tests/sim/replication/subscription_checker.h"

namespace andyx::server::sim {

class World {
 public:
  explicit World(const Options& options);

  void run();  // throws Violation

  const Options& options() const { return options_; }
  Schedule& schedule() { return schedule_; }
  Network& network() { return network_; }
  Checker& checker(std::uint32_t partition, bool internal) {
    return checkers_[2 * partition + internal];
  }
  const Checker& checker(std::uint32_t partition, bool internal) const {
    return checkers_[2 * partition + internal];
  }
  SubscriptionChecker& subscriptions() { return subscriptions_; }
  SimController& controller() { return *controller_; }
  const SimController& controller() const { return *controller_; }
  Node& node(NodeId id) { return *nodes_[id - 1]; }
  bool healed() const { return network_.healed(); }
  std::deque<Consumer>& consumers() { return consumers_; }

  // The image goes to a node; `asked`: it is the answer to what the node sent then, or 0.
  void tell(NodeId node, Time asked);
  void check(const Node& node);  // something has happened there
  void process_ended(NodeId node);
  std::uint64_t next_incarnation() { return ++last_incarnation_; }
  ProducerId next_producer_id() { return ++last_producer_; }
  OperationId next_operation() { return ++last_operation_; }
  std::uint64_t next_connection() { return ++last_connection_; }

  std::string describe() const;
  std::uint64_t faults() const { return nemesis_->faults(); }
  std::uint64_t resent() const;

 private:
  void make_consumers();
  void controller_round();
  void force_where_nobody_can(std::uint32_t partition);
  bool run_until(Time end);
  void heal();
  bool healthy() const;
  bool whole(std::uint32_t partition) const;
  bool consumed(std::uint32_t partition) const;

  Options options_;
  Schedule schedule_;
  Network network_;
  std::deque<Checker> checkers_;  // messages and internal log of each partition
  SubscriptionChecker subscriptions_;
  std::uint64_t last_incarnation_ = 0, last_producer_ = 0, last_operation_ = 0;
  std::uint64_t last_connection_ = 0;
  std::vector<Time> nobody_since_;  // by partition
  std::unique_ptr<SimController> controller_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::vector<const ReplicaLog*>> views_;  // of each checker
  std::deque<Producer> producers_;
  std::deque<Consumer> consumers_;
  std::vector<Offset> committed_at_heal_;  // by partition
  std::unique_ptr<Nemesis> nemesis_;
};

struct RunResult {
  std::optional<Violation> violation;
  std::string state;  // at the violation
  std::uint64_t events = 0;
  std::uint64_t faults = 0;
  std::uint64_t acknowledged = 0;  // at quorum
  std::uint64_t resent = 0;        // batches
  std::uint64_t delivered = 0;     // ranges
  std::uint64_t confirmed = 0;     // answers
  std::uint64_t carried_over = 0;  // subscriptions, to a new main
  std::uint64_t moves = 0;         // of copies
  MainEpoch epochs = 0;
  Offset committed = 0;
  Time virtual_time = 0;
};

RunResult run_seed(const Options& options);

}  // namespace andyx::server::sim
