// A loop's part of a new image: which partitions are here, and what their copies are.
#include <algorithm>

#include "server/app/log.h"
#include "server/handlers/mains.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/metadata/partition_replication.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

// What a partition has from its topic, beside its own record.
bool is_same_for_partitions(const Topic& before, const Topic& topic) {
  return before.effective == topic.effective &&
         before.subscriptions.is_same_as(topic.subscriptions) &&
         before.fences.is_same_as(topic.fences);
}

}  // namespace

Status CoreLoop::open_partitions(std::shared_ptr<const Image> image) {
  image_ = std::move(image);
  if (auto* links = pulls_.links()) links->image_moved(*image_);
  for (auto topic = image_->topics.begin(); topic != image_->topics.end(); ++topic) {
    for (const PartitionRecord& record : topic->partitions()) {
      if (&node_.loop_of(record.partition_id) != this) continue;
      auto opened = holds(record) ? open_partition(topic.item(), record) : free_leftover(record);
      if (!opened) return opened;
    }
  }
  return {};
}

bool CoreLoop::holds(const PartitionRecord& record) const {
  return std::ranges::find(record.replicas, node_.config.node_id) != record.replicas.end();
}

// At start: a copy that was taken from this node while it was down.
Status CoreLoop::free_leftover(const PartitionRecord& record) {
  for (const auto log : {data_log(record.partition_id), internal_log(record.partition_id)}) {
    const auto state = node_.shard->log_state(log);
    if (!state || state->end_offset == 0) continue;
    if (auto freed = node_.shard->reset_log(log, 0, {}); !freed) return freed;
  }
  return {};
}

Status CoreLoop::open_partition(std::shared_ptr<const Topic> topic, const PartitionRecord& record) {
  auto partition = Partition::open(*this, topic, record, replication_record(*image_, record));
  if (!partition) {
    return fail(partition.error().code, topic->name.path() + " partition " +
                                            std::to_string(record.index) + ": " +
                                            partition.error().message);
  }
  partitions_.emplace(record.partition_id, std::move(*partition));
  return {};
}

void CoreLoop::apply_image(std::shared_ptr<const Image> image) {
  if (image->position < image_->position) return;
  const auto old = std::exchange(image_, std::move(image));
  if (auto* links = pulls_.links()) links->image_moved(*image_);
  nodes_changed(*old);
  // Both are in the order of ids, and what did not change is the same object.
  auto before = old->topics_by_id.begin(), before_end = old->topics_by_id.end();
  auto after = image_->topics_by_id.begin(), after_end = image_->topics_by_id.end();
  while (before != before_end || after != after_end) {
    if (after == after_end || (before != before_end && before->id < after->id)) {
      close_topic(*before);
      ++before;
    } else if (before == before_end || after->id < before->id) {
      open_topic(after.item());
      ++after;
    } else {
      if (before.item() != after.item()) change_topic(*before, after.item());
      ++before;
      ++after;
    }
  }
  image_waiters_.moved(image_->position);
}

// Replication goes by the lives of nodes, which change without the records of their partitions.
void CoreLoop::nodes_changed(const Image& before) {
  auto was = before.nodes.begin();
  auto is = image_->nodes.begin();
  while (was != before.nodes.end() && is != image_->nodes.end() && was.item() == is.item()) {
    ++was;
    ++is;
  }
  if (was == before.nodes.end() && is == image_->nodes.end()) return;
  for (const auto& [id, partition] : partitions_) {
    if (!partition->replicated()) continue;
    const PartitionRecord* record =
        image_->find_partition(partition->topic_id(), partition->index());
    if (record != nullptr && holds(*record)) partition->adopt(replication_record(*image_, *record));
  }
}

void CoreLoop::open_topic(const std::shared_ptr<const Topic>& topic) {
  for (const PartitionRecord& record : topic->partitions()) {
    if (&node_.loop_of(record.partition_id) == this) change_partition(topic, record);
  }
}

// As the image has it now: opened, changed, or given up.
void CoreLoop::change_partition(const std::shared_ptr<const Topic>& topic,
                                const PartitionRecord& record) {
  Partition* const found = find_copy(record.partition_id);
  if (found == nullptr) {
    if (!holds(record)) return;
    if (auto opened = open_partition(topic, record); !opened) {
      log::error("partition not opened",
                 {{"topic", topic->name.path()}, {"error", opened.error().message}});
    }
    return;
  }
  if (found->removed()) return;  // copy_freed() goes on
  if (!holds(record)) return found->close_removed();
  found->apply_topic(topic);
  found->adopt(replication_record(*image_, record));
}

void CoreLoop::copy_freed(PartitionId id) {
  const auto found = partitions_.find(id);
  if (found == partitions_.end() || !found->second->removed()) return;
  const auto topic = image_->find_topic(found->second->topic_id());
  const std::uint32_t index = found->second->index();
  partitions_.erase(found);
  if (topic && index < topic->partitions().size())
    change_partition(topic, topic->partitions()[index]);
}

void CoreLoop::main_lost(TopicId topic, std::uint32_t partition, const Error& reason) {
  const auto of = image_->find_topic(topic);
  if (!of) return;
  std::erase_if(coordinators_, [&](const auto& entry) {
    if (entry.second->topic() != topic) return false;
    const auto record = of->subscriptions.find(std::string_view(entry.second->name()));
    if (!record || record->coordinator != partition) return false;
    entry.second->detach_all(reason);
    return true;
  });
}

// Of a topic of thousands of partitions mostly one has changed, and it is all that is looked at.
void CoreLoop::change_topic(const Topic& before, const std::shared_ptr<const Topic>& topic) {
  if (is_same_for_partitions(before, *topic)) {
    PartitionList::each_difference(before.partitions(), topic->partitions(),
                                   [&](const PartitionRecord*, const PartitionRecord* record) {
                                     if (&node_.loop_of(record->partition_id) == this)
                                       change_partition(topic, *record);
                                   });
  } else {
    open_topic(topic);
  }
  if (before.effective.tenant_active && !topic->effective.tenant_active) {
    end_attached(*topic,
                 {ErrorCode::kTenantInactive, topic->name.path() + ": its tenant was deactivated"});
  }
  end_coordinators(topic->id, topic.get());
  // Who has a producer open takes its place anew where it is now.
  if (topic->partitions().front().main != before.partitions().front().main)
    producer_places_.topic_moved(topic->id);
  for (const auto& [id, coordinator] : coordinators_) {
    if (coordinator->topic() == topic->id)
      coordinator->grow(static_cast<std::uint32_t>(topic->partitions().size()));
  }
}

// Those of this loop: its partitions' streams, and the attachments that it coordinates.
void CoreLoop::end_attached(const Topic& topic, const Error& reason) {
  for (const PartitionRecord& record : topic.partitions()) {
    auto* partition = find_partition(record.partition_id);
    if (partition == nullptr) continue;
    for (const auto& [id, subscription] : partition->subscriptions()) {
      subscription->end_all_streams(reason);
    }
  }
  for (const auto& [id, coordinator] : coordinators_) {
    if (coordinator->topic() == topic.id) coordinator->detach_all(reason);
  }
}

void CoreLoop::close_topic(const Topic& topic) {
  for (const PartitionRecord& record : topic.partitions()) {
    auto found = partitions_.find(record.partition_id);
    if (found == partitions_.end()) continue;
    found->second->close_deleted();
    partitions_.erase(found);
  }
  end_coordinators(topic.id, nullptr);
  producer_places_.topic_moved(topic.id);
}

// Why this one ends with `present`, the topic as it is now; null: the topic is gone.
std::optional<Error> CoreLoop::end_of(const Coordinator& coordinator, const Topic* present) const {
  const auto record =
      present ? present->subscriptions.find(std::string_view(coordinator.name())) : nullptr;
  if (!record || record->id != coordinator.id()) {
    return Error{present ? ErrorCode::kUnknownSubscription : ErrorCode::kUnknownTopic,
                 "subscription " + coordinator.name() + " was deleted"};
  }
  const PartitionRecord& partition = present->partitions()[record->coordinator];
  if (auto here = check_main(partition, node_.config.node_id, "its coordinator"); !here)
    return here.error();
  if (partition.main_epoch == coordinator.main_epoch()) return std::nullopt;
  // Perhaps another node was main in between: its coordinator has given higher epochs.
  return Error{ErrorCode::kNotMain, "its coordinator has begun anew", node_.config.node_id};
}

void CoreLoop::end_coordinators(TopicId topic, const Topic* present) {
  std::erase_if(coordinators_, [&](const auto& entry) {
    Coordinator& coordinator = *entry.second;
    if (coordinator.topic() != topic) return false;
    const auto why = end_of(coordinator, present);
    if (why) coordinator.detach_all(*why);
    return why.has_value();
  });
}

}  // namespace andyx::server
