#include "server/metadata/node_loads.h"

#include <algorithm>

namespace andyx::server {

template <typename Change>
void NodeLoads::each(const std::vector<PartitionRecord>& partitions, Change change) {
  if (loads_.use_count() > 1) loads_ = std::make_shared<std::vector<NodeLoad>>(*loads_);
  const auto load_of = [this](NodeId node) -> NodeLoad& {
    const auto at = std::ranges::lower_bound(*loads_, node, {}, &NodeLoad::node);
    if (at != loads_->end() && at->node == node) return *at;
    return *loads_->insert(at, {.node = node});
  };
  for (const PartitionRecord& partition : partitions) {
    for (const NodeId node : partition.replicas) change(load_of(node).copies);
    if (partition.main != 0) change(load_of(partition.main).mains);
  }
}

void NodeLoads::add(const std::vector<PartitionRecord>& partitions) {
  each(partitions, [](std::uint32_t& count) { ++count; });
}

void NodeLoads::remove(const std::vector<PartitionRecord>& partitions) {
  each(partitions, [](std::uint32_t& count) { --count; });
}

NodeLoad NodeLoads::of(NodeId node) const {
  const auto at = std::ranges::lower_bound(*loads_, node, {}, &NodeLoad::node);
  if (at != loads_->end() && at->node == node) return *at;
  return {.node = node};
}

}  // namespace andyx::server
