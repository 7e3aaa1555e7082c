// How many mains and copies each node holds, kept along with the topics of an image. A value:
// copies share until one of them changes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/base/ids.h"
#include "server/metadata/partition_list.h"

namespace andyx::server {

struct NodeLoad {
  NodeId node = 0;
  std::uint32_t mains = 0;
  std::uint32_t copies = 0;  // mains and observers included

  bool operator==(const NodeLoad&) const = default;
};

class NodeLoads {
 public:
  // The partitions of a topic become others; what both lists share is not looked at. An empty list
  // where there was no such topic, or is none any more.
  void changed(const PartitionList& before, const PartitionList& after);

  NodeLoad of(NodeId node) const;
  // In the order of their ids; nodes without a copy may be missing.
  const std::vector<NodeLoad>& all() const { return *loads_; }

 private:
  NodeLoad& load_of(NodeId node);

  std::shared_ptr<std::vector<NodeLoad>> loads_ = std::make_shared<std::vector<NodeLoad>>();
};

}  // namespace andyx::server
