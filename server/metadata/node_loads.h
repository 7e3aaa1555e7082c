// How many mains and copies each node holds, kept along with the topics of an image. A value:
// copies share until one of them changes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/base/ids.h"
#include "server/metadata/partition_record.h"

namespace andyx::server {

struct NodeLoad {
  NodeId node = 0;
  std::uint32_t mains = 0;
  std::uint32_t copies = 0;  // mains and observers included

  bool operator==(const NodeLoad&) const = default;
};

class NodeLoads {
 public:
  void add(const std::vector<PartitionRecord>& partitions);
  void remove(const std::vector<PartitionRecord>& partitions);  // that were added before

  NodeLoad of(NodeId node) const;
  // In the order of their ids; nodes without a copy may be missing.
  const std::vector<NodeLoad>& all() const { return *loads_; }

 private:
  template <typename Change>
  void each(const std::vector<PartitionRecord>& partitions, Change change);

  std::shared_ptr<std::vector<NodeLoad>> loads_ = std::make_shared<std::vector<NodeLoad>>();
};

}  // namespace andyx::server
