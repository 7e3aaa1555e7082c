#include "server/metadata/recovered_image.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "server/metadata/content_hash.h"

namespace andyx::server {
namespace {

std::uint64_t recovered_chain_hash(const Image& from, std::uint64_t group) {
  return ContentHash().number(from.chain_hash).number(group).finish();
}

void settle_for_survivors(PartitionRecord& partition, const Image& from, NodeId survivor) {
  std::uint32_t left = 0;
  bool is_there = false;
  for (const NodeId member : partition.in_sync) {
    const auto node = from.find_node(member);
    if (member == survivor) is_there = true;
    if (member == survivor || (node && (node->roles & kMetadataRole) == 0)) ++left;
  }
  if (is_there) partition.min_in_sync = std::min(partition.min_in_sync, left);
}

PartitionRecord recovered(PartitionRecord partition, const Image& from, const RecoveredGroup& as) {
  partition.main_epoch += kLostEpochs;
  partition.version += kLostEpochs;
  if (as.survivor != 0) settle_for_survivors(partition, from, as.survivor);
  if (!as.alone) return partition;
  partition.main = as.alone->node;
  partition.replicas = partition.in_sync = {as.alone->node};
  partition.eligible.clear();
  partition.observers.clear();
  partition.min_in_sync = 1;
  partition.joining = partition.moving_from = 0;
  return partition;
}

// Who leads a partition is a node that is known. Its address it tells when it registers, before it
// serves anything.
std::shared_ptr<const NodeRecord> node_of(const RecoveredGroup::Alone& alone) {
  auto node = std::make_shared<NodeRecord>();
  node->id = alone.node;
  node->disk_id = alone.disk_id;
  node->incarnation = 1;
  node->host = "localhost";
  node->port = 1;
  return node;
}

// The next open has to be above every epoch that was given: what a producer writes under an epoch
// of before would be taken for a repetition.
void raise_producers(Topic& topic) {
  const auto producers = topic.producers;
  for (const ProducerRecord& known : producers) {
    if (known.epoch == 0) continue;
    auto producer = std::make_shared<ProducerRecord>(known);
    producer->epoch += kLostEpochs;
    topic.producers.put(std::move(producer));
  }
  const auto fences = topic.fences;
  for (const ProducerFence& known : fences) {
    if (known.epoch == kFencedForGood) continue;
    topic.fences.put(std::make_shared<const ProducerFence>(
        ProducerFence{known.producer_id, known.epoch + kLostEpochs}));
  }
}

}  // namespace

bool is_recovered_from(const Image& now, const Image& from) {
  return now.position == from.position + kLostPositions &&
         now.chain_hash == recovered_chain_hash(from, now.group);
}

std::shared_ptr<const Image> recovered_image(const Image& from, const RecoveredGroup& as) {
  auto image = std::make_shared<Image>(from);
  image->group = as.group;
  image->position += kLostPositions;
  image->chain_hash = recovered_chain_hash(from, as.group);
  image->next_topic_id += kLostIds;
  image->next_partition_id += kLostIds;
  image->next_subscription_id += kLostIds;
  image->next_producer_id += kLostProducerIds;
  if (as.alone) {
    image->cluster_id = as.alone->cluster_id;
    for (const NodeRecord& node : from.nodes) image->nodes.erase(node.id);
    image->nodes.put(node_of(*as.alone));
  }
  image->loads = {};
  for (const Topic& known : from.topics_by_id) {
    auto topic = std::make_shared<Topic>(known);
    std::vector<PartitionRecord> partitions;
    for (const PartitionRecord& partition : known.partitions())
      partitions.push_back(recovered(partition, from, as));
    topic->set_partitions(std::move(partitions));
    raise_producers(*topic);
    image->loads.changed({}, topic->partitions());
    image->topics.put(topic);
    image->topics_by_id.put(topic);
  }
  return image;
}

}  // namespace andyx::server
