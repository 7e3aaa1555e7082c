#include "server/cluster/balance.h"

#include <algorithm>
#include <map>

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
  const auto copies = [](const auto& each) { return each.second.copies; };
  const auto to = std::ranges::min_element(loads, {}, copies);
  if (to == loads.end() || !clearly_under(to->second.copies, share)) return {};
  const NodeId fullest = std::ranges::max_element(loads, {}, copies)->first;
  std::vector<Wish> moves;
  const auto move_from = [&](bool mains) {
    for (const Topic& topic : image.topics_by_id) {
      for (const PartitionRecord& p : topic.partitions()) {
        if (!is_whole(p) || !holds(p.replicas, fullest) || holds(p.replicas, to->first)) continue;
        if ((p.main == fullest) != mains) continue;
        moves.push_back(ChangeReplicasCommand{.topic_id = topic.id,
                                              .partition = p.index,
                                              .version = p.version,
                                              .add = to->first,
                                              .moving_from = fullest});
        return true;
      }
    }
    return false;
  };
  // A copy that does not lead moves without clients noticing.
  if (!move_from(false)) move_from(true);
  return moves;
}

}  // namespace andyx::server
