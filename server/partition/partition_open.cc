// How a partition is recovered when its node starts: producers from their snapshot and the log
// behind it, subscriptions from theirs and the internal log.
#include <unordered_map>

#include "server/app/data_directory.h"
#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/dedup_recover.h"
#include "server/partition/partition.h"
#include "server/partition/state_keys.h"

namespace andyx::server {
namespace {

Status replay_producers(storage::StorageShard& shard, PartitionId id, Offset from, Offset end,
                        ProducerTable& table) {
  while (from < end) {
    auto batches = shard.read(data_log(id), from, limits::kMaxReadBytes);
    if (!batches) return std::unexpected(batches.error());
    if (batches->empty())
      return fail(ErrorCode::kCorrupt, "the log ends at offset " + std::to_string(from) +
                                           ", before its end " + std::to_string(end));
    for (const SharedBytes& bytes : *batches) {
      auto header = batch::read_header(bytes.span());
      if (!header) return std::unexpected(header.error());
      if (header->base_offset >= from) table.replay(*header);
      from = header->end_offset();
    }
  }
  return {};
}

}  // namespace

// `empty_at`: where a log that storage does not know begins.
Result<PartitionCore::Recovered> Partition::recover(storage::StorageShard& shard, PartitionId id,
                                                    std::uint32_t dedup_window_ms,
                                                    Offset empty_at) {
  PartitionCore::Recovered recovered;
  auto state = shard.log_state(data_log(id));
  if (!state && empty_at == 0) return recovered;
  if (!state) state = storage::LogState{.start_offset = empty_at, .end_offset = empty_at};
  recovered.start_offset = state->start_offset;
  recovered.end_offset = state->end_offset;
  recovered.last_append_time_us = state->last_append_time_us;

  Offset covered = state->start_offset;
  auto snapshot = shard.get(storage::Table::kCursor, producer_snapshot_key(id));
  if (!snapshot) return std::unexpected(snapshot.error());
  if (*snapshot) {
    auto decoded = ProducerTable::decode(
        {reinterpret_cast<const std::uint8_t*>((*snapshot)->data()), (*snapshot)->size()});
    if (!decoded) return std::unexpected(decoded.error());
    // A snapshot ahead of the log: the tail was given up (--accept-data-loss). Rebuild from what is
    // left.
    if (decoded->covered <= state->end_offset) {
      recovered.producers = std::move(decoded->table);
      covered = std::max(covered, decoded->covered);
    }
  }
  if (auto replayed = replay_producers(shard, id, covered, state->end_offset, recovered.producers);
      !replayed) {
    return std::unexpected(replayed.error());
  }
  recovered.producers.durable(state->end_offset);
  auto dedup = recover_dedup(shard, data_log(id), dedup_window_ms, net::wall_time_us());
  if (!dedup) return std::unexpected(dedup.error());
  recovered.dedup = std::move(*dedup);
  return recovered;
}

Result<std::shared_ptr<Partition>> Partition::open(CoreLoop& loop,
                                                   const std::shared_ptr<const Topic>& topic,
                                                   const PartitionRecord& record,
                                                   const ReplicationRecord& replication) {
  auto& shard = *loop.node().shard;
  if (auto whole = finish_cut(shard, record.partition_id); !whole)
    return std::unexpected(whole.error());
  auto recovered = recover(shard, record.partition_id, topic->effective.dedup_window_ms);
  if (!recovered) return std::unexpected(recovered.error());
  auto partition = std::make_shared<Partition>(
      loop, topic, record, PartitionCore(record.main_epoch, std::move(*recovered)));
  if (auto status = partition->log_.recover(); !status) return std::unexpected(status.error());
  if (auto status = partition->cursor_log_.recover(); !status)
    return std::unexpected(status.error());
  if (partition->core().end_offset() > 0) {
    if (auto status = partition->due_.recover(); !status) return std::unexpected(status.error());
    partition->watch();  // rows of delayed messages are to be counted
  }
  partition->apply_topic(topic);
  if (replication.replicas.size() <= 1) {  // nobody to wait for: it serves when it is open
    auto changes = CursorLog::read(shard, record.partition_id);
    if (!changes) return std::unexpected(changes.error());
    partition->cursors_ = std::move(*changes);
  } else {
    partition->core_.commits_by_set(partition->log_.copy().committed);
    partition->due_.suspend();  // counted when it becomes main
  }
  partition->adopt(replication);
  return partition;
}

void Partition::restore_subscriptions(std::span<const CursorChange> changes) {
  std::unordered_map<SubscriptionId, std::shared_ptr<const SubscriptionRecord>> records;
  for (auto it = topic_->subscriptions.begin(); it != topic_->subscriptions.end(); ++it)
    records.emplace(it->id, it.item());
  for (const CursorChange& change : changes) {
    auto record = records.find(change.subscription);
    if (record == records.end()) continue;  // deleted since
    if (change.kind == CursorChange::Kind::kDeleted) {
      subscriptions_.erase(change.subscription);
      continue;
    }
    auto& subscription = subscriptions_[change.subscription];
    if (!subscription) subscription = std::make_unique<Subscription>(*this, record->second);
    subscription->core().apply(change);
  }
  for (auto& [id, subscription] : subscriptions_) subscription->recovered();
}

}  // namespace andyx::server
