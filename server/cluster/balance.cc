#include "server/cluster/balance.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "protocol/base/limits.h"
#include "server/metadata/placement.h"

namespace andyx::server {
namespace {

bool holds(const std::vector<NodeId>& nodes, NodeId node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

// Of the nodes that may carry something.
std::map<NodeId, NodeLoad> carriers(const Image& image, const ClusterView& view) {
  std::map<NodeId, NodeLoad> loads;
  for (const NodeRecord& node : image.nodes) {
    if (is_placeable(node) && !view.ailing.contains(node.id)) {
      loads.emplace(node.id, image.loads.of(node.id));
    }
  }
  return loads;
}

double average(const std::map<NodeId, NodeLoad>& loads, std::uint32_t NodeLoad::* what) {
  double sum = 0;
  for (const auto& [node, load] : loads) sum += load.*what;
  return loads.empty() ? 0 : sum / static_cast<double>(loads.size());
}

bool clearly_over(double count, double share) { return count > share + 1 && count > share * 1.2; }
bool clearly_under(double count, double share) { return count < share - 1 && count < share * 0.8; }

// All its copies are where they should be, and in sync.
bool is_whole(const PartitionRecord& p) {
  return p.main != 0 && p.joining == 0 && p.moving_from == 0 &&
         p.in_sync.size() + p.observers.size() == p.replicas.size();
}

// Some partition's copy on `from`, the main or another one, moves to `to`.
std::optional<Wish> move_of_one(const Image& image, NodeId from, NodeId to, bool leads) {
  for (const Topic& topic : image.topics_by_id) {
    for (const PartitionRecord& p : topic.partitions()) {
      if (!is_whole(p) || !holds(p.replicas, from) || holds(p.replicas, to)) continue;
      if ((p.main == from) != leads) continue;
      return ChangeReplicasCommand{.topic_id = topic.id,
                                   .partition = p.index,
                                   .version = p.version,
                                   .add = to,
                                   .moving_from = from};
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Wish> spread_mains(const Image& image, const ClusterView& view) {
  auto loads = carriers(image, view);
  const double share = average(loads, &NodeLoad::mains);
  std::vector<Wish> moves;
  const bool uneven = std::ranges::any_of(loads, [&](const auto& each) {
    return clearly_over(each.second.mains, share) || clearly_under(each.second.mains, share);
  });
  if (!uneven) return moves;
  for (const Topic& topic : image.topics_by_id) {
    for (const PartitionRecord& p : topic.partitions()) {
      const auto from = loads.find(p.main);
      if (from == loads.end() || from->second.mains <= share) continue;
      NodeLoad* to = nullptr;
      for (const NodeId node : p.in_sync) {
        const auto found = loads.find(node);
        if (found == loads.end() || found->second.mains + 1 >= from->second.mains) continue;
        if (to == nullptr || found->second.mains < to->mains) to = &found->second;
      }
      if (to == nullptr) continue;
      if (!clearly_over(from->second.mains, share) && !clearly_under(to->mains, share)) continue;
      --from->second.mains;
      ++to->mains;
      moves.push_back(ElectMainCommand{.topic_id = topic.id,
                                       .partition = p.index,
                                       .node = to->node,
                                       .main_epoch = p.main_epoch});
      if (moves.size() >= limits::kMaxMainsSpreadPerRound) return moves;
    }
  }
  return moves;
}

std::vector<Wish> spread_copies(const Image& image, const ClusterView& view) {
  const auto loads = carriers(image, view);
  const double share = average(loads, &NodeLoad::copies);
  std::vector<NodeLoad> fullest_first;
  for (const auto& [node, load] : loads) fullest_first.push_back(load);
  std::ranges::sort(fullest_first, [](const NodeLoad& a, const NodeLoad& b) {
    return std::tuple(b.copies, a.node) < std::tuple(a.copies, b.node);
  });
  if (fullest_first.empty()) return {};
  const NodeLoad to = fullest_first.back();
  if (!clearly_under(to.copies, share)) return {};
  for (const NodeLoad& from : fullest_first) {
    if (from.copies <= share) break;
    // A copy that does not lead moves without clients noticing.
    for (const bool leads : {false, true}) {
      if (auto wish = move_of_one(image, from.node, to.node, leads)) return {std::move(*wish)};
    }
  }
  return {};
}

}  // namespace andyx::server
