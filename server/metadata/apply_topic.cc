#include <algorithm>

#include "common_generated.h"
#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"

namespace andyx::server {
namespace {

// A storage log id has 31 bits for the partition (log_ids.h).
constexpr PartitionId kMaxPartitionId = (PartitionId{1} << 31) - 1;

Status check_names(const TopicName& name) {
  for (const auto& [part, what] :
       {std::pair{&name.tenant, "the tenant"}, std::pair{&name.product, "the product"},
        std::pair{&name.component, "the component"}, std::pair{&name.topic, "the topic name"}}) {
    if (auto status = check_name(*part, what); !status) return status;
  }
  return {};
}

Status check_placement(const Image& image, const wire::CreateTopic& command) {
  const auto& placement = *command.placement();
  const std::uint32_t factor = command.replication_factor();
  if (factor < 1 || factor > limits::kMaxReplicationFactor ||
      placement.size() != std::uint64_t{command.partitions()} * factor) {
    return fail(ErrorCode::kBadArgument, "the replication factor " + std::to_string(factor) +
                                             " with " + std::to_string(placement.size()) +
                                             " copies of " + std::to_string(command.partitions()) +
                                             " partitions does not fit; it is 1 to " +
                                             std::to_string(limits::kMaxReplicationFactor));
  }
  for (std::uint32_t i = 0; i < placement.size(); ++i) {
    if (!image.nodes.find(placement[i])) {
      return fail(ErrorCode::kBadArgument,
                  "node " + std::to_string(placement[i]) + " is not registered");
    }
    for (std::uint32_t j = i - i % factor; j < i; ++j) {
      if (placement[j] == placement[i]) {
        return fail(ErrorCode::kBadArgument,
                    "node " + std::to_string(placement[i]) + " holds two copies of one partition");
      }
    }
  }
  return {};
}

Status check_create(const Image& image, const wire::CreateTopic& command, const TopicName& name) {
  if (auto status = check_names(name); !status) return status;
  if (image.find_topic(name)) {
    return fail(ErrorCode::kTopicExists, "topic " + name.path() + " exists already");
  }
  const std::uint32_t partitions = command.partitions();
  if (partitions < 1 || partitions > limits::kMaxPartitionsPerTopic) {
    return fail(ErrorCode::kBadArgument, "a topic has 1 to " +
                                             std::to_string(limits::kMaxPartitionsPerTopic) +
                                             " partitions, not " + std::to_string(partitions));
  }
  if (auto status = check_placement(image, command); !status) return status;
  const std::uint64_t bound = std::uint64_t{limits::kMaxPartitionsPerNode} * image.nodes.size();
  if (image.partition_count + partitions > bound) {
    return fail(ErrorCode::kLimitReached, "the cluster holds " +
                                              std::to_string(image.partition_count) +
                                              " partitions and takes " + std::to_string(bound) +
                                              ": max-partitions-per-node is " +
                                              std::to_string(limits::kMaxPartitionsPerNode));
  }
  if (image.next_partition_id > kMaxPartitionId - partitions) {
    return fail(ErrorCode::kLimitReached, "the partition ids of this cluster are used up");
  }
  return {};
}

}  // namespace

void put_topic(Image& image, Topic topic) {
  const auto shared = std::make_shared<const Topic>(std::move(topic));
  image.topics.put(shared);
  image.topics_by_id.put(shared);
}

Outcome apply_command(Image& image, const wire::CreateTopic& command, TimeUs time_us) {
  TopicName name{command.tenant()->str(), command.product()->str(), command.component()->str(),
                 command.topic()->str()};
  if (auto status = check_create(image, command, name); !status) return {.status = status};

  const std::uint32_t factor = command.replication_factor();
  std::vector<PartitionRecord> partitions(command.partitions());
  for (std::uint32_t i = 0; i < partitions.size(); ++i) {
    PartitionRecord& partition = partitions[i];
    partition.partition_id = image.next_partition_id++;
    partition.index = i;
    const auto* nodes = command.placement()->data() + std::size_t{i} * factor;
    partition.replicas.assign(nodes, nodes + factor);
    partition.in_sync = partition.replicas;
    partition.main = partition.replicas.front();
  }
  image.partition_count += partitions.size();
  Topic topic;
  topic.id = image.next_topic_id++;
  topic.name = std::move(name);
  topic.created_us = time_us;
  topic.set_partitions(std::move(partitions));
  const TopicId id = topic.id;
  put_topic(image, std::move(topic));
  return {.status = {}, .result = id};
}

Outcome apply_command(Image& image, const wire::DeleteTopic& command, TimeUs) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) {
    return refused(ErrorCode::kUnknownTopic,
                   "there is no topic with id " + std::to_string(command.topic_id()));
  }
  image.partition_count -= topic->partitions().size();
  image.subscription_count -= topic->subscriptions.size();
  image.topics.erase(topic->name);
  image.topics_by_id.erase(topic->id);
  return {};
}

}  // namespace andyx::server
