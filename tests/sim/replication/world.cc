#include "tests/sim/replication/world.h"

#include <algorithm>

#include "common_generated.h"

namespace andyx::server::sim {

namespace {

constexpr Time kHealWithin = 30 * kSecond;

}  // namespace

World::World(const Options& options)
    : options_(options), network_(options_, schedule_), nobody_since_(options.partitions) {
  controller_ = std::make_unique<SimController>(*this);
  for (NodeId id = 1; id <= options_.nodes; ++id)
    nodes_.push_back(std::make_unique<Node>(id, *this));
  for (std::uint32_t i = 0; i < 2 * options_.partitions; ++i) {
    checkers_.emplace_back();
    views_.emplace_back();
    for (const auto& node : nodes_) views_.back().push_back(&node->copy(i / 2).log(i % 2 != 0));
  }
  for (std::uint32_t i = 0; i < options_.producers; ++i) producers_.emplace_back(i, *this);
  make_consumers();
  nemesis_ = std::make_unique<Nemesis>(*this);
}

void World::make_consumers() {
  using protocol::StartKind;
  using protocol::SubscriptionMode;
  using protocol::SubscriptionType;
  Rng rng(options_.seed, 5);
  std::uint32_t index = 0;
  for (std::uint32_t i = 0; i < options_.subscriptions; ++i) {
    const SubscriptionPlan plan{
        .name = "subscription-" + std::to_string(i),
        .type = rng.one_in(4)   ? SubscriptionType::unique
                : rng.one_in(2) ? SubscriptionType::failover
                                : SubscriptionType::shared,
        .mode = rng.one_in(6) ? SubscriptionMode::resilient : SubscriptionMode::nonresilient,
        .start = rng.one_in(2) ? StartKind::latest : StartKind::earliest};
    const std::uint64_t consumers = rng.between(1, 3);
    for (std::uint64_t each = 0; each < consumers; ++each)
      consumers_.emplace_back(index++, plan, *this);
  }
}

void World::tell(NodeId id, Time asked) {
  network_.send(kController, id, [this, id, asked, image = controller_->image()] {
    node(id).deliver([this, id, asked, image] { node(id).told(image, asked); });
  });
}

void World::check(const Node& node) {
  for (std::uint32_t i = 0; i < checkers_.size(); ++i)
    checkers_[i].check(node.copy(i / 2).log(i % 2 != 0), views_[i]);
}

// Those who were connected find out; the controller, too, where its connection is cut at once.
void World::process_ended(NodeId id) {
  schedule_.after(1 * kMs, [this, id] {
    for (Producer& producer : producers_) producer.node_lost(id);
    for (Consumer& consumer : consumers_) consumer.node_lost(id);
    if (options_.closes_heard) controller_->connection_closed(id);
  });
}

// Where nobody may become main any more, the operator forces the longest log, after a while.
void World::controller_round() {
  controller_->tick();
  for (std::uint32_t partition = 0; partition < options_.partitions; ++partition)
    force_where_nobody_can(partition);
  schedule_.after(100 * kMs, [this] { controller_round(); });
}

void World::force_where_nobody_can(std::uint32_t partition) {
  if (!controller_->nobody_can_lead(partition)) nobody_since_[partition] = schedule_.now();
  if (schedule_.now() <= nobody_since_[partition] + 3 * kSecond) return;
  const Node* longest = nullptr;
  for (const ReplicaMember& member : controller_->record(partition).replicas) {
    if (!member.alive || member.observer) continue;
    const Node& candidate = node(member.node);
    if (longest == nullptr || candidate.copy(partition).log(false).log().end() >
                                  longest->copy(partition).log(false).log().end())
      longest = &candidate;
  }
  if (longest != nullptr) controller_->force(partition, longest->id());
}

bool World::run_until(Time end) {
  while (schedule_.now() < end && schedule_.run_next()) {
  }
  return schedule_.now() >= end;
}

void World::heal() {
  nemesis_->stop();
  network_.heal();
  network_.healed_ = true;
  for (const auto& node : nodes_) {
    node->slow_disk(0);
    node->full_disk(0);
    controller_->drain(node->id(), false);
    if (node->paused()) node->resume();
    if (!node->up()) node->start();
  }
  for (Producer& producer : producers_) producer.count_from_here();
  for (std::uint32_t partition = 0; partition < options_.partitions; ++partition)
    committed_at_heal_.push_back(checker(partition, false).committed());
}

bool World::healthy() const {
  for (std::uint32_t partition = 0; partition < options_.partitions; ++partition) {
    if (!whole(partition) || !consumed(partition)) return false;
  }
  return std::ranges::all_of(producers_,
                             [](const Producer& producer) { return producer.stored_since() > 0; });
}

// The writes go on, so nobody is ever at the end.
bool World::whole(std::uint32_t partition) const {
  const ReplicationRecord record = controller_->record(partition);
  const auto copies = static_cast<std::size_t>(
      std::ranges::count(record.replicas, false, &ReplicaMember::observer));
  if (record.main == 0 || copies < options_.factor || record.in_sync.size() != copies) return false;
  return std::ranges::all_of(record.replicas, [&](const ReplicaMember& member) {
    const Copy& copy = nodes_[member.node - 1]->copy(partition);
    return copy.epoch() == record.main_epoch &&
           copy.log(false).copy().committed + 1'000 > checker(partition, false).committed();
  });
}

// All that was committed when everybody had healed has been answered by every subscription.
bool World::consumed(std::uint32_t partition) const {
  const auto& subscriptions = controller_->image()->topics_by_id.begin()->subscriptions;
  const ReplicationRecord record = controller_->record(partition);
  Copy& main = nodes_[record.main - 1]->copy(partition);
  for (auto it = subscriptions.begin(); it != subscriptions.end(); ++it) {
    SimSubscription* there = main.serving() ? main.subscription(it->id) : nullptr;
    if (there == nullptr || there->core().floor() < committed_at_heal_[partition]) return false;
  }
  return true;
}

void World::run() {
  for (const auto& node : nodes_) node->start();
  controller_->found();
  for (Producer& producer : producers_) producer.begin();
  for (Consumer& consumer : consumers_) consumer.begin();
  schedule_.after(100 * kMs, [this] { controller_round(); });
  nemesis_->start();
  run_until(options_.duration);
  heal();
  const Time until = schedule_.now() + kHealWithin;
  while (!healthy()) {
    if (schedule_.now() >= until || !schedule_.run_next())
      violated("progress after healing", "not within 30 s");
  }
}

std::uint64_t World::resent() const {
  std::uint64_t resent = 0;
  for (const Producer& producer : producers_) resent += producer.resent();
  return resent;
}

std::string World::describe() const {
  std::string out = "at " + std::to_string(schedule_.now_ms()) + " ms:";
  for (std::uint32_t partition = 0; partition < options_.partitions; ++partition) {
    const ReplicationRecord record = controller_->record(partition);
    out += " partition " + std::to_string(partition) + " epoch " +
           std::to_string(record.main_epoch) + " version " + std::to_string(record.version) +
           " main " + std::to_string(record.main) + " min-in-sync " +
           std::to_string(record.min_in_sync) + " in sync";
    for (const NodeId node : record.in_sync) out += " " + std::to_string(node);
    out += " eligible";
    for (const NodeId node : record.eligible) out += " " + std::to_string(node);
    if (record.main == 0 || committed_at_heal_.empty()) continue;
    out += " committed at heal " + std::to_string(committed_at_heal_[partition]) + " floors";
    const auto& subscriptions = controller_->image()->topics_by_id.begin()->subscriptions;
    for (auto it = subscriptions.begin(); it != subscriptions.end(); ++it) {
      SimSubscription* there = nodes_[record.main - 1]->copy(partition).subscription(it->id);
      out += " " + (there == nullptr ? std::string("none") : std::to_string(there->core().floor()));
    }
  }
  for (const auto& node : nodes_) out += "\n  " + node->describe();
  for (const Producer& producer : producers_) out += "\n  " + producer.describe();
  for (const Consumer& consumer : consumers_) out += "\n  " + consumer.describe();
  return out + "\n" + nemesis_->history();
}

RunResult run_seed(const Options& options) {
  World world(options);
  RunResult result;
  try {
    world.run();
  } catch (Violation& violation) {
    result.violation = std::move(violation);
    result.state = world.describe();
  }
  result.events = world.schedule().events();
  result.faults = world.faults();
  result.resent = world.resent();
  result.delivered = world.subscriptions().deliveries();
  result.confirmed = world.subscriptions().confirmations();
  result.carried_over = world.subscriptions().carried_over();
  result.moves = world.controller().moves();
  for (std::uint32_t partition = 0; partition < options.partitions; ++partition) {
    result.acknowledged += world.checker(partition, false).acknowledged();
    result.epochs += world.controller().partition(partition).main_epoch;
    result.committed += world.checker(partition, false).committed();
  }
  result.virtual_time = world.schedule().now();
  return result;
}

}  // namespace andyx::server::sim
