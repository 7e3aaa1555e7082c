// What a cluster says of itself to an operator: from an image, and what a node knows beside it.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/cluster/node_sessions.h"
#include "server/metadata/image.h"

namespace andyx::server {

struct ClusterFacts {
  NodeId controller = 0;                 // 0: not known
  std::vector<NodeId> voters;            // of the metadata; empty: not known
  std::map<NodeId, NodeReport> reports;  // of the nodes that have told how they are
  std::map<NodeId, std::string> astray;  // nodes whose image is not as it should be, and how
  std::string silence;  // why this does not come from the controller; empty: it does
};

struct ClusterSummary {
  // "online": every node is there, every partition has its main and all of its copies in sync.
  // "recovering": the same, but for copies that are not in sync yet. "partially-online": a node is
  // away, or a partition has no main. "offline": no controller, so nothing can be decided.
  std::string_view status;
  std::uint32_t partitions = 0;
  std::uint32_t under_replicated =
      0;  // fewer copies in sync than wanted, or than there is room for
  std::uint32_t without_main = 0;
  std::string note;  // sentences, separated by "; "; empty: nothing to say
};
ClusterSummary summarize(const Image& image, const ClusterFacts& facts);

// "online", "offline", "draining", "disconnecting": its mains move away, because it is about to
// stop, or does not have the metadata as they should be.
std::string_view status_word(const NodeRecord& node, const ClusterFacts& facts);

// What is wrong with a node, to be read behind its name; empty: nothing that is known.
std::string node_note(const NodeRecord& node, const ClusterFacts& facts);

}  // namespace andyx::server
