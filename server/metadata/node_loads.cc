#include "server/metadata/node_loads.h"

#include <algorithm>

namespace andyx::server {

NodeLoad& NodeLoads::load_of(NodeId node) {
  const auto at = std::ranges::lower_bound(*loads_, node, {}, &NodeLoad::node);
  if (at != loads_->end() && at->node == node) return *at;
  return *loads_->insert(at, {.node = node});
}

void NodeLoads::changed(const PartitionList& before, const PartitionList& after) {
  if (loads_.use_count() > 1) loads_ = std::make_shared<std::vector<NodeLoad>>(*loads_);
  const auto visit = [this](const PartitionRecord* was, const PartitionRecord* is) {
    if (was != nullptr) {
      for (const NodeId node : was->replicas) --load_of(node).copies;
      if (was->main != 0) --load_of(was->main).mains;
    }
    if (is != nullptr) {
      for (const NodeId node : is->replicas) ++load_of(node).copies;
      if (is->main != 0) ++load_of(is->main).mains;
    }
  };
  PartitionList::each_difference(before, after, visit);
}

NodeLoad NodeLoads::of(NodeId node) const {
  const auto at = std::ranges::lower_bound(*loads_, node, {}, &NodeLoad::node);
  if (at != loads_->end() && at->node == node) return *at;
  return {.node = node};
}

}  // namespace andyx::server
