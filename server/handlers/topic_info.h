// A topic of the image as the wire's TopicInfo.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "server/metadata/image.h"
#include "topic_generated.h"

namespace andyx::server {

// `fill(index, builder)` adds what only the partition itself knows; `replica_offsets` likewise: of
// each partition, how far each of its copies is durable, or nothing. `only`: not all partitions.
template <typename Fill>
flatbuffers::Offset<protocol::TopicInfo> make_topic_info(
    flatbuffers::FlatBufferBuilder& builder, const Topic& topic, Fill&& fill,
    const std::vector<std::uint32_t>* only = nullptr,
    std::span<const std::vector<Offset>> replica_offsets = {}) {
  std::vector<flatbuffers::Offset<protocol::PartitionInfo>> partitions;
  partitions.reserve(topic.partitions().size());
  for (const PartitionRecord& record : topic.partitions()) {
    if (only != nullptr && std::ranges::find(*only, record.index) == only->end()) continue;
    auto replicas = builder.CreateVector(record.replicas);
    auto in_sync = builder.CreateVector(record.in_sync);
    auto observers = builder.CreateVector(record.observers);
    auto eligible = builder.CreateVector(record.eligible);
    flatbuffers::Offset<flatbuffers::Vector<std::uint64_t>> offsets;
    if (record.index < replica_offsets.size())
      offsets = builder.CreateVector(replica_offsets[record.index]);
    protocol::PartitionInfoBuilder partition(builder);
    partition.add_partition(record.index);
    partition.add_partition_id(record.partition_id);
    partition.add_main(record.main);
    partition.add_main_epoch(record.main_epoch);
    partition.add_version(record.version);
    partition.add_replicas(replicas);
    partition.add_in_sync(in_sync);
    partition.add_observers(observers);
    partition.add_eligible(eligible);
    partition.add_min_in_sync(record.min_in_sync);
    if (!offsets.IsNull()) partition.add_replica_offsets(offsets);
    fill(record.index, partition);
    partitions.push_back(partition.Finish());
  }
  auto name = builder.CreateString(topic.name.path());
  return protocol::CreateTopicInfo(builder, name, topic.id, builder.CreateVector(partitions),
                                   topic.created_us);
}

}  // namespace andyx::server
