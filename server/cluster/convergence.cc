#include "server/cluster/convergence.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "protocol/base/limits.h"
#include "protocol/base/planted.h"
#include "server/metadata/placement.h"

namespace andyx::server {
namespace {

bool holds(const std::vector<NodeId>& nodes, NodeId node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

class Converger {
 public:
  Converger(const Image& image, const ClusterView& view, std::int64_t now_ms)
      : image_(image), view_(view), now_ms_(now_ms) {}

  Convergence run(std::size_t max_steps) {
    for (const Topic& topic : image_.topics_by_id) {
      for (const PartitionRecord& partition : topic.partitions()) {
        out_.moving += partition.joining != 0 || partition.moving_from != 0;
      }
    }
    for (const Topic& topic : image_.topics_by_id) {
      for (const PartitionRecord& partition : topic.partitions()) {
        if (out_.steps.size() >= max_steps) return std::move(out_);
        topic_ = &topic;
        partition_ = &partition;
        if (auto step = next()) out_.steps.push_back(std::move(*step));
      }
    }
    return std::move(out_);
  }

 private:
  std::optional<Wish> next() {
    const PartitionRecord& p = *partition_;
    if (planted(PlantedBug::kMoveDropsSourceEarly) && p.moving_from != 0 && p.moving_from != p.main)
      return change({.remove = p.moving_from});
    if (p.joining != 0) {
      const auto node = image_.find_node(p.joining);
      const bool given_up = view_.lost_for(p.joining, kGiveUpJoiningMs, now_ms_) || leaving(*node);
      return given_up ? change({.remove = p.joining}) : std::nullopt;
    }
    // Without a main nothing catches up, and nobody knows yet which copy will be needed.
    if (p.main == 0) return std::nullopt;
    if (p.moving_from != 0) return finish_move();
    if (auto step = demote_in_async()) return step;
    const std::size_t copies = count_copies();
    if (copies < topic_->replication_factor) return add(0);
    if (copies > topic_->replication_factor) return remove_one();
    return drain();
  }

  // The copy that was added last is in sync (or was): it takes the place of the other one.
  std::optional<Wish> finish_move() {
    const PartitionRecord& p = *partition_;
    const NodeId target = p.replicas.back();
    if (!holds(p.in_sync, target)) return std::nullopt;
    if (p.moving_from == p.main) return elect_away(target);
    const bool observer = holds(p.observers, p.moving_from);
    if (observer && target != p.main) {
      return change({.remove = p.moving_from, .demote = target});
    }
    return remove_if_enough(p.moving_from);
  }

  // Every copy comes in sync once, which shows that it has caught up; where the topic is async it
  // is an observer from then on.
  std::optional<Wish> demote_in_async() {
    if (!topic_->async) return std::nullopt;
    for (const NodeId node : partition_->replicas) {
      if (node != partition_->main && !holds(partition_->observers, node)) {
        return change({.demote = node});
      }
    }
    return std::nullopt;
  }

  // Of topics that are not async, observers are copies beside the wanted ones.
  std::size_t count_copies() const {
    const PartitionRecord& p = *partition_;
    return p.replicas.size() - (topic_->async ? 0 : p.observers.size());
  }

  std::optional<Wish> add(NodeId moving_from) {
    const NodeId to = best_place();
    if (to == 0) return std::nullopt;
    if (out_.moving >= limits::kMaxMoves) return std::nullopt;
    ++out_.moving;
    ++added_[to];
    return change({.add = to, .moving_from = moving_from});
  }

  // The node with the fewest copies that holds none of this partition; 0: there is none.
  NodeId best_place() {
    NodeId best = 0;
    for (const NodeRecord& node : image_.nodes) {
      if (!is_placeable(node) || view_.ailing.contains(node.id)) continue;
      if (holds(partition_->replicas, node.id)) continue;
      if (best == 0 || copies_on(node.id) < copies_on(best)) best = node.id;
    }
    return best;
  }
  std::uint32_t copies_on(NodeId node) const {
    const auto added = added_.find(node);
    return image_.loads.of(node).copies + (added == added_.end() ? 0 : added->second);
  }

  // One over the wanted number: what is away first, what drains, what stands on the fullest node.
  std::optional<Wish> remove_one() {
    const PartitionRecord& p = *partition_;
    NodeId worst = 0;
    for (const NodeId node : p.replicas) {
      const bool counts = topic_->async || !holds(p.observers, node);
      if (!counts || node == p.main) continue;
      if (worst == 0 || removal_rank(node) > removal_rank(worst)) worst = node;
    }
    if (worst == 0) return std::nullopt;
    // The main itself is to go, and is the only one that should: another one leads first.
    const bool main_leaves = leaving(*image_.find_node(p.main));
    if (main_leaves && !leaving(*image_.find_node(worst)) && holds(p.in_sync, worst)) {
      return elect_away(worst);
    }
    return remove_if_enough(worst);
  }
  std::tuple<bool, bool, std::uint32_t> removal_rank(NodeId node) const {
    const auto record = image_.find_node(node);
    return {!record->alive, leaving(*record), copies_on(node)};
  }

  // As many as are wanted, or as there can be, are in sync without it.
  std::optional<Wish> remove_if_enough(NodeId node) {
    const PartitionRecord& p = *partition_;
    const std::size_t wanted = topic_->async ? 1 : topic_->replication_factor;
    const std::size_t others = count_copies() - 1;
    if (holds(p.in_sync, node) && p.in_sync.size() - 1 < alive_of(std::min(wanted, others), node)) {
      return std::nullopt;
    }
    return change({.remove = node});
  }
  // `wanted`, less those copies beside `but` that cannot be in sync because their node is away.
  std::size_t alive_of(std::size_t wanted, NodeId but) const {
    std::size_t alive = 0;
    for (const NodeId node : partition_->replicas) {
      const bool counts = !holds(partition_->observers, node);
      alive += counts && node != but && image_.find_node(node)->alive;
    }
    return std::min(wanted, alive);
  }

  std::optional<Wish> drain() {
    const PartitionRecord& p = *partition_;
    for (const NodeId node : p.replicas) {
      if (!leaving(*image_.find_node(node))) continue;
      if (auto step = add(node)) return step;
      if (node == p.main) return elect_away(0);
    }
    return std::nullopt;
  }

  // `preferred` or any other member of the set that is well and stays.
  std::optional<Wish> elect_away(NodeId preferred) {
    const PartitionRecord& p = *partition_;
    NodeId best = 0;
    for (const NodeId node : p.in_sync) {
      if (node == p.main || !view_.may_lead(image_, node) || leaving(*image_.find_node(node))) {
        continue;
      }
      if (best == 0 || node == preferred) best = node;
    }
    if (best == 0) return std::nullopt;
    return ElectMainCommand{
        .topic_id = topic_->id, .partition = p.index, .node = best, .main_epoch = p.main_epoch};
  }

  static bool leaving(const NodeRecord& node) {
    return node.draining || (node.roles & kBrokerRole) == 0;
  }

  std::optional<Wish> change(ChangeReplicasCommand command) const {
    command.topic_id = topic_->id;
    command.partition = partition_->index;
    command.version = partition_->version;
    return command;
  }

  const Image& image_;
  const ClusterView& view_;
  const std::int64_t now_ms_;
  std::map<NodeId, std::uint32_t> added_;  // by this run
  Convergence out_;
  const Topic* topic_ = nullptr;
  const PartitionRecord* partition_ = nullptr;
};

}  // namespace

Convergence converge(const Image& image, const ClusterView& view, std::int64_t now_ms,
                     std::size_t max_steps) {
  return Converger(image, view, now_ms).run(max_steps);
}

}  // namespace andyx::server
