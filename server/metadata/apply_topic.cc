#include <algorithm>

#include "common_generated.h"
#include "protocol/base/limits.h"
#include "server/metadata/apply_partitions.h"
#include "server/metadata/effective.h"
#include "server/replication/record_rules.h"

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

using Placement = flatbuffers::Vector<std::uint32_t>;

Status check_broker(const Image& image, NodeId id) {
  const auto node = image.nodes.find(id);
  const std::string which = "node " + std::to_string(id);
  if (!node) return fail(ErrorCode::kBadArgument, which + " is not registered");
  if ((node->roles & kBrokerRole) == 0) {
    return fail(ErrorCode::kBadArgument, which + " is no broker: it holds no partitions");
  }
  if (!node->alive) return fail(ErrorCode::kBadArgument, which + " is offline");
  return {};
}

Status check_placement(const Image& image, std::uint32_t partitions, std::uint32_t factor,
                       const Placement& placement) {
  if (factor < 1 || factor > limits::kMaxReplicationFactor ||
      placement.size() != std::uint64_t{partitions} * factor) {
    return fail(ErrorCode::kBadArgument, "the replication factor " + std::to_string(factor) +
                                             " with " + std::to_string(placement.size()) +
                                             " copies of " + std::to_string(partitions) +
                                             " partitions does not fit; it is 1 to " +
                                             std::to_string(limits::kMaxReplicationFactor));
  }
  for (std::uint32_t i = 0; i < placement.size(); ++i) {
    if (auto status = check_broker(image, placement[i]); !status) return status;
    for (std::uint32_t j = i - i % factor; j < i; ++j) {
      if (placement[j] == placement[i]) {
        return fail(ErrorCode::kBadArgument,
                    "node " + std::to_string(placement[i]) + " holds two copies of one partition");
      }
    }
  }
  return {};
}

// Of a topic with `all` partitions, of which `partitions` are new.
Status check_partitions(const Image& image, std::uint64_t all, std::uint32_t partitions,
                        std::uint32_t factor, const Placement& placement) {
  if (partitions < 1 || all > limits::kMaxPartitionsPerTopic) {
    return fail(ErrorCode::kBadArgument, "a topic has 1 to " +
                                             std::to_string(limits::kMaxPartitionsPerTopic) +
                                             " partitions, not " + std::to_string(all));
  }
  if (auto status = check_placement(image, partitions, factor, placement); !status) return status;
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

// `wanted` of all of a topic's copies, of which `factor` are placed now. 0: as many as are placed.
Status check_wanted(std::uint32_t wanted, std::uint32_t factor) {
  if (wanted == 0 || (wanted >= factor && wanted <= limits::kMaxReplicationFactor)) return {};
  return fail(ErrorCode::kBadArgument, "the replication factor " + std::to_string(wanted) +
                                           " does not fit; it is " + std::to_string(factor) +
                                           " to " + std::to_string(limits::kMaxReplicationFactor));
}

Status check_create(const Image& image, const wire::CreateTopic& command, const TopicName& name) {
  if (auto status = check_names(name); !status) return status;
  if (image.find_topic(name)) {
    return fail(ErrorCode::kTopicExists, "topic " + name.path() + " exists already");
  }
  if (auto status = check_levels(image, name, command.automatic()); !status) return status;
  if (auto status = check_wanted(command.wanted_factor(), command.replication_factor()); !status) {
    return status;
  }
  return check_partitions(image, command.partitions(), command.partitions(),
                          command.replication_factor(), *command.placement());
}

// Numbered after those that `topic` has.
void add_partitions(Image& image, Topic& topic, std::uint32_t count, std::uint32_t factor,
                    const Placement& placement) {
  for (std::uint32_t i = 0; i < count; ++i) {
    PartitionRecord partition;
    partition.partition_id = image.next_partition_id++;
    partition.index = static_cast<std::uint32_t>(topic.partitions().size());
    const auto* nodes = placement.data() + std::size_t{i} * factor;
    partition.replicas.assign(nodes, nodes + factor);
    partition.main = partition.replicas.front();
    if (topic.async) {
      partition.in_sync = {partition.main};
      partition.observers.assign(nodes + 1, nodes + factor);
    } else {
      partition.in_sync = partition.replicas;
    }
    partition.min_in_sync = std::min(topic.wanted_min_in_sync(), factor);
    topic.put_partition(std::move(partition));
  }
  image.partition_count += count;
}

Status check_alter(const Image& image, const Topic& topic, const wire::AlterTopic& command) {
  const std::uint32_t factor = std::max(command.replication_factor(), 1u);
  const std::uint32_t wanted = command.wanted_factor();
  const std::uint32_t added = command.placement()->size() / factor;
  if (auto status = check_wanted(wanted, added == 0 ? 1 : factor); !status) return status;
  if (wanted != 0 && command.placement()->size() == 0) return {};
  return check_partitions(image, std::uint64_t{topic.partitions().size()} + added, added,
                          command.replication_factor(), *command.placement());
}

void change_min_in_sync(const Image& image, Topic& topic) {
  const PartitionList before = topic.partitions();
  for (const PartitionRecord& partition : before) {
    ReplicationRecord record = replication_record(image, partition);
    want_min_in_sync(record, topic.wanted_min_in_sync());
    PartitionRecord changed = partition;
    store_record(record, changed);
    if (changed == partition) continue;
    ++changed.version;
    topic.put_partition(std::move(changed));
  }
}

// `index` with some of its items replaced by others of the same keys, in their order.
template <typename T, typename KeyOf>
void replace(SharedIndex<T, KeyOf>& index, const std::vector<std::shared_ptr<const T>>& changed) {
  std::vector<std::shared_ptr<const T>> items;
  items.reserve(index.size());
  auto next = changed.begin();
  for (auto it = index.begin(); it != index.end(); ++it) {
    const bool renewed = next != changed.end() && KeyOf::key(**next) == KeyOf::key(*it);
    items.push_back(renewed ? *next++ : it.item());
  }
  index = SharedIndex<T, KeyOf>::from_sorted(std::move(items));
}

// Before `topic` takes the place of its earlier state.
void recount(Image& image, const Topic& topic) {
  const auto before = image.topics_by_id.find(topic.id);
  image.loads.changed(before ? before->partitions() : PartitionList{}, topic.partitions());
}

void put_shared(Image& image, const std::shared_ptr<const Topic>& topic) {
  recount(image, *topic);
  image.topics.put(topic);
  image.topics_by_id.put(topic);
}

}  // namespace

void put_topics(Image& image, std::vector<std::shared_ptr<const Topic>> topics) {
  // A put copies the spine of an index, about as dear as making so many of its items anew.
  constexpr std::size_t kItemsPerPut = 32;
  if (topics.size() * kItemsPerPut <= image.topics.size()) {
    for (const auto& topic : topics) put_shared(image, topic);
    return;
  }
  for (const auto& topic : topics) recount(image, *topic);
  std::ranges::sort(topics, {}, [](const auto& topic) -> const TopicName& { return topic->name; });
  replace(image.topics, topics);
  std::ranges::sort(topics, {}, [](const auto& topic) { return topic->id; });
  replace(image.topics_by_id, topics);
}

void put_topic(Image& image, Topic topic) {
  put_shared(image, std::make_shared<const Topic>(std::move(topic)));
}

Outcome apply_command(Image& image, const wire::CreateTopic& command, TimeUs time_us) {
  TopicName name{command.tenant()->str(), command.product()->str(), command.component()->str(),
                 command.topic()->str()};
  if (auto status = check_create(image, command, name); !status) return {.status = status};

  make_levels(image, name, time_us);
  Topic topic;
  topic.id = image.next_topic_id++;
  topic.name = std::move(name);
  topic.created_us = time_us;
  topic.replication_factor = std::max(command.wanted_factor(), command.replication_factor());
  topic.async = command.async();
  add_partitions(image, topic, command.partitions(), command.replication_factor(),
                 *command.placement());
  topic.effective = effective_settings(image, topic);
  const TopicId id = topic.id;
  put_topic(image, std::move(topic));
  return {.status = {}, .result = id};
}

Outcome apply_command(Image& image, const wire::AlterTopic& command, TimeUs) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) {
    return refused(ErrorCode::kUnknownTopic,
                   "there is no topic with id " + std::to_string(command.topic_id()));
  }
  if (auto status = check_alter(image, *topic, command); !status) return {.status = status};
  Topic changed = *topic;
  if (command.wanted_factor() != 0) {
    changed.replication_factor = command.wanted_factor();
    change_min_in_sync(image, changed);
  }
  const std::uint32_t factor = std::max(command.replication_factor(), 1u);
  add_partitions(image, changed, command.placement()->size() / factor, factor,
                 *command.placement());
  put_topic(image, std::move(changed));
  return {.status = {}, .result = topic->id};
}

Outcome apply_command(Image& image, const wire::DeleteTopic& command, TimeUs) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) {
    return refused(ErrorCode::kUnknownTopic,
                   "there is no topic with id " + std::to_string(command.topic_id()));
  }
  image.partition_count -= topic->partitions().size();
  image.loads.changed(topic->partitions(), {});
  image.subscription_count -= topic->subscriptions.size();
  image.topics.erase(topic->name);
  image.topics_by_id.erase(topic->id);
  return {};
}

}  // namespace andyx::server
