#include "tests/sim/replication/world.h"

#include <algorithm>

namespace andyx::server::sim {

namespace {

constexpr Time kHealWithin = 30 * kSecond;

}  // namespace

World::World(const Options& options) : options_(options), network_(options_, schedule_) {
  controller_ = std::make_unique<SimController>(*this);
  for (NodeId id = 1; id <= options_.nodes; ++id) {
    nodes_.push_back(std::make_unique<Node>(id, *this));
    node_views_.push_back(nodes_.back().get());
  }
  for (std::uint32_t i = 0; i < options_.producers; ++i) producers_.emplace_back(i, *this);
  nemesis_ = std::make_unique<Nemesis>(*this);
}

void World::tell(NodeId id, Time asked) {
  network_.send(kController, id, [this, id, asked, image = controller_->image()] {
    node(id).deliver([this, id, asked, image] { node(id).told(image, asked); });
  });
}

// Where nobody may become main any more, the operator forces the longest log, after a while.
void World::controller_round() {
  controller_->expire_sessions();
  if (!controller_->nobody_can_lead()) nobody_since_ = schedule_.now();
  if (schedule_.now() > nobody_since_ + 3 * kSecond) {
    const Node* longest = nullptr;
    for (const auto& node : nodes_) {
      const ReplicaMember* member = controller_->record().find(node->id());
      if (member->alive && !member->observer &&
          (longest == nullptr || node->log().end() > longest->log().end()))
        longest = node.get();
    }
    if (longest != nullptr) controller_->force(longest->id());
  }
  schedule_.after(100 * kMs, [this] { controller_round(); });
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
    if (node->paused()) node->resume();
    if (!node->up()) node->start();
  }
  for (Producer& producer : producers_) producer.count_from_here();
}

bool World::healthy() const {
  const ReplicationRecord& record = controller_->record();
  const auto copies = static_cast<std::size_t>(
      std::ranges::count(record.replicas, false, &ReplicaMember::observer));
  if (record.main == 0 || record.in_sync.size() != copies) return false;
  const bool written = std::ranges::all_of(
      producers_, [](const Producer& producer) { return producer.stored_since() > 0; });
  // The writes go on, so nobody is ever at the end.
  const bool followed = std::ranges::all_of(nodes_, [&](const auto& node) {
    return node->copy().committed + 1'000 > checker_.committed() &&
           node->epoch() == record.main_epoch;
  });
  return written && followed;
}

void World::run() {
  for (const auto& node : nodes_) node->start();
  for (Producer& producer : producers_) producer.begin();
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

std::string World::describe() const {
  const ReplicationRecord& record = controller_->record();
  std::string out = "at " + std::to_string(schedule_.now_ms()) + " ms: epoch " +
                    std::to_string(record.main_epoch) + " version " +
                    std::to_string(record.version) + " main " + std::to_string(record.main) +
                    " min-in-sync " + std::to_string(record.min_in_sync) + " in sync";
  for (const NodeId node : record.in_sync) out += " " + std::to_string(node);
  out += " eligible";
  for (const NodeId node : record.eligible) out += " " + std::to_string(node);
  for (const auto& node : nodes_) out += "\n  " + node->describe();
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
  result.acknowledged = world.checker().acknowledged();
  result.epochs = world.controller().record().main_epoch;
  result.committed = world.checker().committed();
  result.virtual_time = world.schedule().now();
  return result;
}

}  // namespace andyx::server::sim
