// Changes of partitions' records by the rules of replication. Pure. For apply_*.cc only.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "server/metadata/apply_commands.h"
#include "server/metadata/partition_replication.h"

namespace andyx::server {

// `change(topic, replication record)` for each partition that `touches(record)`. Topics none of
// whose partitions come out different stay the same objects.
template <typename Touches, typename Change>
void change_partitions(Image& image, Touches touches, Change change) {
  std::vector<std::shared_ptr<const Topic>> changed_topics;
  for (auto it = image.topics_by_id.begin(); it != image.topics_by_id.end(); ++it) {
    std::shared_ptr<Topic> changed;  // null: none of them yet
    for (const PartitionRecord& partition : it->partitions()) {
      if (!touches(partition)) continue;
      ReplicationRecord record = replication_record(image, partition);
      change(*it, record);
      PartitionRecord stored = partition;
      store_record(record, stored);
      if (stored == partition) continue;
      if (!changed) changed = std::make_shared<Topic>(*it);
      changed->put_partition(std::move(stored));
    }
    if (changed) changed_topics.push_back(std::move(changed));
  }
  put_topics(image, std::move(changed_topics));
}

inline auto has_copy_on(NodeId node) {
  return [node](const PartitionRecord& partition) {
    return std::ranges::find(partition.replicas, node) != partition.replicas.end();
  };
}

struct FoundPartition {
  std::shared_ptr<const Topic> topic;
  const PartitionRecord* record = nullptr;  // lives as long as `topic`
};
// kUnknownTopic, kBadArgument (it has no such partition).
Result<FoundPartition> find_partition(const Image& image, TopicId topic, std::uint32_t index);

// In the place of the one with its index.
void put_partition(Image& image, const Topic& topic, PartitionRecord partition);

}  // namespace andyx::server
