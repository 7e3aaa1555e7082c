// The controller: the real decisions (ClusterCore) on the real image, changed by real entries that
// are applied one after the other. Its log never fails; nodes lose contact to it, and its soft
// state is lost when another node leads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/cluster/cluster_core.h"
#include "server/metadata/apply.h"
#include "server/replication/replication_record.h"
#include "tests/sim/replication/image_checker.h"
#include "tests/sim/replication/options.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

class World;
struct SubscriptionPlan;

struct Heartbeat {
  NodeId node = 0;
  Incarnation incarnation = 0;
  bool intact = true;  // nothing that was durable before this start is missing
  Time sent = 0;
  bool registered = false;  // else this is its registration
  NodeHealth health;
};

class SimController {
 public:
  explicit SimController(World& world);

  void found();  // the cluster, of nodes that have started, and its topic

  const std::shared_ptr<const Image>& image() const { return image_; }
  const PartitionRecord& partition(std::uint32_t index) const;
  ReplicationRecord record(std::uint32_t index) const;

  // From nodes.
  void heartbeat(const Heartbeat& heartbeat);
  void connection_closed(NodeId node);
  void proposal(std::uint32_t partition, const SetProposal& proposal);
  void asked_for_new_epoch(std::uint32_t partition, MainEpoch epoch);
  void tick();
  void another_leads();

  // The operator's, and of clients.
  void move(std::uint32_t partition, NodeId from, NodeId to);  // from 0: the main
  void drain(NodeId node, bool on);
  void force(std::uint32_t partition, NodeId node);
  bool nobody_can_lead(std::uint32_t partition) const;
  std::shared_ptr<const SubscriptionRecord> ensure_subscription(const SubscriptionPlan& plan);
  std::uint64_t moves() const { return image_checker_.moves(); }

 private:
  Status apply(const Wish& wish);
  void note_elections(const Image& before, const Wish& wish);
  void act();
  std::int64_t now_ms() const;

  World& world_;
  Rng rng_;
  ImageChecker image_checker_;
  std::shared_ptr<const Image> image_ = std::make_shared<const Image>();
  ClusterCore core_;
  std::uint64_t commands_ = 0;
};

}  // namespace andyx::server::sim
