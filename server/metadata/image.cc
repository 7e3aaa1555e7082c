#include "server/metadata/image.h"

#include "server/metadata/content_hash.h"

namespace andyx::server {
namespace {

// What a hash is of, so that equal fields of different kinds do not cancel out.
enum Kind : std::uint64_t {
  kImage = 1,
  kTopic,
  kPartition,
  kSubscription,
  kNode,
  kCommand,
  kScope,
  kProducer,
  kFence,
  kReplication,
  kBalancingPaused,
  kGroup
};

void hash_nodes(ContentHash& hash, const std::vector<NodeId>& nodes) {
  hash.number(nodes.size());
  for (const NodeId node : nodes) hash.number(node);
}

void hash_own(ContentHash& hash, const OwnSettings& own) {
  hash.number(own.values.size());
  for (const auto& [key, value] : own.values) hash.text(key).text(value);
  hash.number(own.retention.has_value());
  if (!own.retention) return;
  hash.number(static_cast<std::uint64_t>(own.retention->soft_ms));
  hash.number(static_cast<std::uint64_t>(own.retention->hard_ms));
  hash.number(static_cast<std::uint64_t>(own.retention->size_bytes));
}

}  // namespace

std::uint64_t hash_content(const PartitionRecord& p) {
  ContentHash hash;
  hash.number(kPartition).number(p.partition_id).number(p.index).number(p.main);
  hash.number(p.main_epoch).number(p.version).number(p.min_in_sync);
  hash.number(p.joining).number(p.moving_from);
  for (const auto* nodes : {&p.replicas, &p.in_sync, &p.eligible, &p.observers})
    hash_nodes(hash, *nodes);
  return hash.finish();
}

std::uint64_t hash_content(const Topic& topic) {
  ContentHash hash;
  hash.number(kTopic).number(topic.id).text(topic.name.path());
  hash.number(static_cast<std::uint64_t>(topic.created_us));
  hash.number(topic.partitions().size()).number(topic.partitions().content_hash());
  hash.number(topic.subscriptions.size()).number(topic.subscriptions.content_hash());
  hash_own(hash, topic.own);
  // Only where there are any: a topic of an older snapshot keeps its hash.
  if (!topic.producers.empty() || !topic.fences.empty()) {
    hash.number(kProducer).number(topic.producers.size()).number(topic.producers.content_hash());
    hash.number(kFence).number(topic.fences.size()).number(topic.fences.content_hash());
  }
  if (topic.replication_factor != 1 || topic.async) {
    hash.number(kReplication).number(topic.replication_factor).number(topic.async);
  }
  return hash.finish();
}

std::uint64_t hash_content(const SubscriptionRecord& subscription) {
  ContentHash hash;
  hash.number(kSubscription).number(subscription.id).text(subscription.name);
  hash.number(static_cast<std::uint64_t>(subscription.type));
  hash.number(static_cast<std::uint64_t>(subscription.mode));
  hash.number(static_cast<std::uint64_t>(subscription.start_kind));
  hash.number(static_cast<std::uint64_t>(subscription.start_value));
  hash.number(static_cast<std::uint64_t>(subscription.created_us));
  hash.number(subscription.key_ordered).number(subscription.coordinator);
  hash.number(subscription.initial_partitions);
  return hash.finish();
}

std::uint64_t hash_content(const ProducerRecord& producer) {
  ContentHash hash;
  hash.number(kProducer).text(producer.name);
  hash.number(static_cast<std::uint64_t>(producer.instance));
  hash.number(producer.producer_id).number(producer.epoch).number(producer.session);
  hash.number(static_cast<std::uint64_t>(producer.created_us));
  return hash.finish();
}

std::uint64_t hash_content(const ProducerFence& fence) {
  ContentHash hash;
  hash.number(kFence).number(fence.producer_id).number(fence.epoch);
  return hash.finish();
}

std::uint64_t hash_content(const NodeRecord& node) {
  ContentHash hash;
  hash.number(kNode).number(node.id).id(node.disk_id).number(node.incarnation);
  hash.text(node.host).number(node.port).number(static_cast<std::uint64_t>(node.registered_us));
  // As above: not for a node as it was before there were clusters.
  if (node.peer_port != 0 || node.roles != kAllRoles || !node.alive || node.draining) {
    hash.number(node.peer_port).number(node.roles).number(node.alive).number(node.draining);
  }
  return hash.finish();
}

std::uint64_t hash_content(const Scope& scope) {
  ContentHash hash;
  hash.number(kScope).number(static_cast<std::uint64_t>(scope.where.level)).text(scope.where.path);
  hash.text(scope.description).number(scope.active);
  hash.number(static_cast<std::uint64_t>(scope.created_us));
  hash_own(hash, scope.own);
  return hash.finish();
}

std::uint64_t hash_content(const AppliedCommand& command) {
  ContentHash hash;
  hash.number(kCommand).id(command.id).number(command.position).number(command.result);
  return hash.finish();
}

std::shared_ptr<const Topic> Image::find_topic(const TopicName& name) const {
  return topics.find(name);
}

std::shared_ptr<const Topic> Image::find_topic(TopicId id) const { return topics_by_id.find(id); }

const PartitionRecord* Image::find_partition(TopicId topic, std::uint32_t index) const {
  const auto found = topics_by_id.find(topic);
  if (!found || index >= found->partitions().size()) return nullptr;
  return &found->partitions()[index];
}

std::shared_ptr<const SubscriptionRecord> Image::find_subscription(TopicId topic,
                                                                   std::string_view name) const {
  const auto found = topics_by_id.find(topic);
  return found ? found->subscriptions.find(name) : nullptr;
}

std::shared_ptr<const NodeRecord> Image::find_node(NodeId id) const { return nodes.find(id); }

std::uint64_t Image::hash() const {
  ContentHash hash;
  hash.number(kImage).id(cluster_id).number(position).number(chain_hash);
  hash.number(next_topic_id).number(next_partition_id);
  hash.number(next_subscription_id).number(next_producer_id);
  hash.number(partition_count).number(subscription_count);
  hash.number(nodes.size()).number(nodes.content_hash());
  hash.number(scopes.size()).number(scopes.content_hash());
  hash.number(topics.size()).number(topics.content_hash());
  hash.number(commands.size()).number(commands.content_hash());
  if (balancing_paused) hash.number(kBalancingPaused);
  if (group != 0) hash.number(kGroup).number(group);
  return hash.finish();
}

}  // namespace andyx::server
