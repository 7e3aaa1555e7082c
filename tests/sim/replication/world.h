// A run: nodes, controller, producers and faults, from one seed.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "tests/sim/replication/checker.h"
#include "tests/sim/replication/controller.h"
#include "tests/sim/replication/nemesis.h"
#include "tests/sim/replication/network.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/producer.h"

namespace andyx::server::sim {

class World {
 public:
  explicit World(const Options& options);

  void run();  // throws Violation

  const Options& options() const { return options_; }
  Schedule& schedule() { return schedule_; }
  Network& network() { return network_; }
  Checker& checker() { return checker_; }
  SimController& controller() { return *controller_; }
  Node& node(NodeId id) { return *nodes_[id - 1]; }

  // The image goes to a node; `asked`: it is the answer to what the node sent then, or 0.
  void tell(NodeId node, Time asked);
  void checked(const Node& node) { checker_.check(node, node_views_); }
  std::uint64_t next_incarnation() { return ++last_incarnation_; }
  ProducerId next_producer_id() { return ++last_producer_; }
  OperationId next_operation() { return ++last_operation_; }

  std::string describe() const;
  std::uint64_t faults() const { return nemesis_->faults(); }

 private:
  void controller_round();
  bool run_until(Time end);
  void heal();
  bool healthy() const;

  Options options_;
  Schedule schedule_;
  Network network_;
  Checker checker_;
  std::uint64_t last_incarnation_ = 0, last_producer_ = 0, last_operation_ = 0;
  Time nobody_since_ = 0;
  std::unique_ptr<SimController> controller_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<const Node*> node_views_;
  std::deque<Producer> producers_;
  std::unique_ptr<Nemesis> nemesis_;
};

struct RunResult {
  std::optional<Violation> violation;
  std::string state;  // at the violation
  std::uint64_t events = 0;
  std::uint64_t faults = 0;
  std::uint64_t acknowledged = 0;  // at quorum
  MainEpoch epochs = 0;
  Offset committed = 0;
  Time virtual_time = 0;
};

RunResult run_seed(const Options& options);

}  // namespace andyx::server::sim
