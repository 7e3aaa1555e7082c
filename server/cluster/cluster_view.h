// What the controller knows of the nodes beside the image: which of them are well. Soft state, of
// the node that leads; what is decided from it becomes a command before it counts.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "server/cluster/measured_load.h"
#include "server/metadata/image.h"

namespace andyx::server {

struct ClusterView {
  // Hung, about to stop, or without the metadata as they should be: lead nothing more.
  std::set<NodeId> ailing;
  std::map<NodeId, std::string> astray;       // how the image of each differs (divergence.h)
  std::map<NodeId, std::int64_t> lost_since;  // BOOTTIME ms since which a session is away
  std::map<NodeId, MeasuredLoad> loads;       // of the nodes that have told it

  // May become main of something now.
  bool may_lead(const Image& image, NodeId node) const {
    const auto record = image.find_node(node);
    return record && record->alive && !ailing.contains(node);
  }
  // Away for `ms` or longer.
  bool lost_for(NodeId node, std::int64_t ms, std::int64_t now_ms) const {
    const auto found = lost_since.find(node);
    return found != lost_since.end() && now_ms - found->second >= ms;
  }
};

}  // namespace andyx::server
