#include "tests/sim/replication/controller.h"

#include <algorithm>
#include <utility>

#include "common_generated.h"
#include "server/metadata/partition_replication.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

namespace {

const TopicName kTopic{"public", "default", "default", "orders"};

}  // namespace

SimController::SimController(World& world)
    : world_(world), rng_(world.options().seed, 4), core_(ClusterOptions{}) {}

std::int64_t SimController::now_ms() const {
  return static_cast<std::int64_t>(world_.schedule().now_ms());
}

const PartitionRecord& SimController::partition(std::uint32_t index) const {
  return image_->topics_by_id.begin()->partitions()[index];
}

ReplicationRecord SimController::record(std::uint32_t index) const {
  return replication_record(*image_, partition(index));
}

void SimController::found() {
  const Options& options = world_.options();
  core_.lead(now_ms());
  (void)apply(BootstrapCommand{{1, 1}});
  for (NodeId node = 1; node <= options.nodes; ++node)
    (void)apply(RegisterNodeCommand{.node_id = node,
                                    .disk_id = {1, node},
                                    .incarnation = world_.node(node).incarnation(),
                                    .host = "node",
                                    .port = 1});
  const Status created = apply(TopicProposal{
      .name = kTopic, .partitions = options.partitions, .replication_factor = options.factor});
  if (!created) violated("a topic can be created", created.error().message);
  for (std::uint32_t index = 0; options.observer && index < options.partitions; ++index) {
    for (NodeId node = 1; node <= options.nodes; ++node) {
      if (std::ranges::find(partition(index).replicas, node) != partition(index).replicas.end())
        continue;
      (void)apply(ChangeReplicasCommand{.topic_id = 1,
                                        .partition = index,
                                        .version = partition(index).version,
                                        .add = node,
                                        .observer = true});
      break;
    }
  }
}

// ---- Entries ----

Status SimController::apply(const Wish& wish) {
  auto resolved = resolve(*image_, wish);
  if (!resolved) return std::unexpected(resolved.error());
  if (!resolved->write) return {};
  const EntryBytes bytes = encode_entry({.command_id = {2, ++commands_},
                                         .cluster_id = {1, 1},
                                         .time_us = static_cast<TimeUs>(world_.schedule().now()),
                                         .previous_hash = image_->chain_hash},
                                        resolved->command);
  auto applied = apply_entry(*image_, bytes);
  if (!applied) violated("entries can be applied", applied.error().message);
  const std::shared_ptr<const Image> before = std::exchange(image_, applied->image);
  image_checker_.check(*before, *image_, wish);
  note_elections(*before, wish);
  core_.image(image_, now_ms());
  for (NodeId node = 1; node <= world_.options().nodes; ++node) world_.tell(node, 0);
  return applied->outcome.status;
}

// What a change of the main may lose.
void SimController::note_elections(const Image& before, const Wish& wish) {
  if (before.topics_by_id.begin() == before.topics_by_id.end()) return;
  const auto* elect = std::get_if<PartitionElect>(&wish);
  const bool lost = std::holds_alternative<NodeLostCommand>(wish);
  for (std::uint32_t index = 0; index < world_.options().partitions; ++index) {
    const PartitionRecord& was = before.topics_by_id.begin()->partitions()[index];
    const PartitionRecord& is = partition(index);
    if (is.main_epoch == was.main_epoch && is.main == was.main) continue;
    if (lost) {
      world_.checker(index, false).session_failover(was.main_epoch);
      world_.checker(index, true).session_failover(was.main_epoch);
    }
    const bool forced = elect != nullptr && elect->forced && elect->partition == index;
    if (forced) world_.checker(index, false).forced_election(is.main_epoch);
    // The internal log goes on below min-in-sync, so that who is only eligible may lack of it.
    const bool from_set = std::ranges::find(was.in_sync, is.main) != was.in_sync.end();
    if (is.main == 0 || (from_set && !forced)) continue;
    world_.checker(index, true).forced_election(is.main_epoch);
    world_.subscriptions().lost(index, is.main_epoch);
  }
}

// ---- From nodes ----

void SimController::heartbeat(const Heartbeat& heartbeat) {
  const auto known = image_->find_node(heartbeat.node);
  if (!heartbeat.registered) {
    if (known->incarnation != heartbeat.incarnation)  // also late: of a life that has ended
      (void)apply(RegisterNodeCommand{.node_id = heartbeat.node,
                                      .disk_id = known->disk_id,
                                      .incarnation = heartbeat.incarnation,
                                      .host = "node",
                                      .port = 1,
                                      .intact = heartbeat.intact});
    world_.tell(heartbeat.node, 0);
    return act();
  }
  if (known->incarnation != heartbeat.incarnation) return;
  const bool stands =
      core_.heartbeat(heartbeat.node, heartbeat.incarnation, heartbeat.health, now_ms());
  world_.tell(heartbeat.node, stands ? heartbeat.sent : 0);
  act();
}

void SimController::connection_closed(NodeId node) {
  core_.connection_closed(node, now_ms());
  act();
}

void SimController::proposal(std::uint32_t partition, const SetProposal& proposal) {
  (void)apply(ChangeInSyncCommand{.topic_id = 1, .partition = partition, .proposal = proposal});
  act();
}

void SimController::asked_for_new_epoch(std::uint32_t partition, MainEpoch epoch) {
  (void)apply(ElectMainCommand{.topic_id = 1, .partition = partition, .main_epoch = epoch});
  act();
}

void SimController::tick() {
  core_.tick(now_ms());
  act();
}

// What the one before had decided and not proposed is forgotten.
void SimController::another_leads() {
  core_.follow();
  core_.lead(now_ms());
}

void SimController::act() {
  for (ClusterAction& action : core_.take_actions()) {
    const Time delay = rng_.one_in(10) ? rng_.below(500) * kMs : rng_.below(20) * kMs;
    world_.schedule().after(delay, [this, action = std::move(action)] {
      const Status status = apply(action.wish);
      core_.done(action.tag, status, now_ms());
      act();
    });
  }
}

// ---- The operator's, and of clients ----

void SimController::move(std::uint32_t partition, NodeId from, NodeId to) {
  (void)apply(PartitionMove{.topic = kTopic, .partition = partition, .from = from, .to = to});
  act();
}

void SimController::drain(NodeId node, bool on) {
  (void)apply(DrainNodeCommand{.node_id = node, .on = on});
  act();
}

void SimController::force(std::uint32_t partition, NodeId node) {
  (void)apply(PartitionElect{.topic = kTopic, .partition = partition, .to = node, .forced = true});
  act();
}

bool SimController::nobody_can_lead(std::uint32_t index) const {
  const PartitionRecord& record = partition(index);
  return record.main == 0 && record.in_sync.empty() && record.eligible.empty();
}

std::shared_ptr<const SubscriptionRecord> SimController::ensure_subscription(
    const SubscriptionPlan& plan) {
  const auto find = [&] {
    return image_->topics_by_id.begin()->subscriptions.find(std::string_view(plan.name));
  };
  if (auto known = find()) return known;
  const Status created = apply(SubscriptionProposal{
      .topic = kTopic,
      .command = {
          .name = plan.name, .type = plan.type, .mode = plan.mode, .start_kind = plan.start}});
  if (!created) violated("a subscription can be created", created.error().message);
  return find();
}

}  // namespace andyx::server::sim
