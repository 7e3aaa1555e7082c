#include "server/cluster/safe_to_stop.h"

#include <algorithm>

namespace andyx::server {

SafeToStop safe_to_stop(const Image& image, NodeId node, const std::vector<NodeId>& voters) {
  const std::string which = "node " + std::to_string(node);
  if (!image.find_node(node)) return {false, "the cluster has no " + which};
  std::uint32_t last = 0, below = 0;
  for (const Topic& topic : image.topics_by_id) {
    for (const PartitionRecord& p : topic.partitions()) {
      if (std::ranges::find(p.in_sync, node) == p.in_sync.end()) continue;
      const std::size_t left = p.in_sync.size() - 1;
      if (left == 0) {
        ++last;
      } else if (left < p.min_in_sync) {
        ++below;
      }
    }
  }
  if (last > 0) {
    return {false, which + " holds the last copy in sync of " + std::to_string(last) +
                       " partitions: they would be offline"};
  }
  if (below > 0) {
    return {false, std::to_string(below) +
                       " partitions would have fewer copies in sync than min-in-sync, and "
                       "refuse quorum writes"};
  }
  if (std::ranges::find(voters, node) == voters.end()) return {};
  const auto stays = std::ranges::count_if(voters, [&](NodeId voter) {
    const auto record = image.find_node(voter);
    return voter != node && record && record->alive;
  });
  if (static_cast<std::size_t>(stays) > voters.size() / 2) return {};
  return {false, "only " + std::to_string(stays) + " of " + std::to_string(voters.size()) +
                     " voters of the metadata would be left, which is no majority"};
}

}  // namespace andyx::server
