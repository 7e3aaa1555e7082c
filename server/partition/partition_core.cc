#include "server/partition/partition_core.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "protocol/base/planted.h"

namespace andyx::server {

PartitionCore::PartitionCore(MainEpoch epoch, Recovered recovered)
    : epoch_(epoch),
      start_(recovered.start_offset),
      committed_(recovered.end_offset),
      durable_(recovered.end_offset),
      end_(recovered.end_offset),
      last_append_time_us_(recovered.last_append_time_us),
      producers_(std::move(recovered.producers)),
      dedup_(std::move(recovered.dedup)) {
  assert(start_ <= end_);
  producers_.durable(durable_);
}

Result<PartitionCore::Produced> PartitionCore::produce(const batch::Header& header,
                                                       MainEpoch request_epoch, TimeUs now_us,
                                                       std::span<const std::uint64_t> message_ids) {
  if (failed_) return fail(ErrorCode::kStorageFailed, "the storage of this partition has stopped");
  if (request_epoch != 0 && request_epoch != epoch_)
    return fail(ErrorCode::kNotMain, "the main epoch is " + std::to_string(epoch_) +
                                         ", the request is for " + std::to_string(request_epoch));
  const auto verdict = producers_.check(header);
  if (!verdict) return std::unexpected(verdict.error());
  if (verdict->duplicate) {
    const ProducerBatch& original = verdict->original;
    return Produced{.duplicate = true,
                    .base_offset = original.base_offset,
                    .end_offset = original.end_offset,
                    .append_time_us = original.append_time_us,
                    .epoch = epoch_,
                    .repeated = {}};
  }
  if (draining_)
    return fail(ErrorCode::kDiskFull, "appends before this one are being refused by the storage");
  if (!message_ids.empty()) {
    dedup_.expire(std::max(now_us, last_append_time_us_));
    if (auto repeated = dedup_.find(message_ids); !repeated.empty()) {
      Produced refused{.epoch = epoch_, .repeated = std::move(repeated)};
      for (const RepeatedMessage& message : refused.repeated) {
        if (message.offset != kNoOffset)
          refused.end_offset = std::max(refused.end_offset, message.offset + 1);
      }
      return refused;
    }
  }
  batch::Header stored = header;
  stored.main_epoch = epoch_;
  stored.base_offset = end_;
  stored.append_time_us = std::max(now_us, last_append_time_us_);
  producers_.record(stored);
  dedup_.record(message_ids, stored.base_offset, stored.append_time_us);
  end_ = stored.end_offset();
  last_append_time_us_ = stored.append_time_us;
  return Produced{.duplicate = false,
                  .base_offset = stored.base_offset,
                  .end_offset = stored.end_offset(),
                  .append_time_us = stored.append_time_us,
                  .epoch = epoch_,
                  .repeated = {}};
}

void PartitionCore::durable(Offset end) {
  assert(end <= end_);  // also: nothing behind a refused append was written
  if (end <= durable_) return;
  durable_ = end;
  producers_.durable(end);
  if (!by_set_) committed_ = end;
}

void PartitionCore::commits_by_set(Offset committed) {
  assert(committed <= durable_);
  by_set_ = true;
  committed_ = committed;
}

void PartitionCore::committed(Offset offset) {
  assert(offset <= durable_);
  if (by_set_) committed_ = std::max(committed_, offset);
}

void PartitionCore::replicated(const batch::Header& header,
                               std::span<const std::uint64_t> message_ids) {
  assert(!draining_ && header.base_offset == end_);
  producers_.record(header);
  dedup_.expire(header.append_time_us);
  dedup_.record(message_ids, header.base_offset, header.append_time_us);
  end_ = header.end_offset();
  last_append_time_us_ = std::max(last_append_time_us_, header.append_time_us);
}

void PartitionCore::recovered(Recovered recovered) {
  assert(durable_ == end_ && !draining_);
  start_ = recovered.start_offset;
  durable_ = end_ = recovered.end_offset;
  committed_ = by_set_ ? std::clamp(committed_, start_, end_) : end_;
  last_append_time_us_ = recovered.last_append_time_us;
  producers_ = std::move(recovered.producers);
  dedup_ = std::move(recovered.dedup);
  producers_.durable(durable_);
}

void PartitionCore::append_refused(Offset from, Offset to) {
  assert(from < to);
  if (failed_) return;
  if (draining_) {
    assert(from >= end_ && to <= drain_to_);
    if (to == drain_to_) draining_ = false;
    return;
  }
  assert(from >= durable_ && to <= end_);
  drain_to_ = end_;
  draining_ = to < drain_to_;
  end_ = from;
  dedup_.rollback(from);
  if (planted(PlantedBug::kRefusedStillKnown)) return;
  const bool exact = producers_.rollback(from);
  assert(exact || planted(PlantedBug::kProducersNotRolledBack));  // nothing durable was cut
  (void)exact;
}

void PartitionCore::storage_failed() {
  failed_ = true;
  draining_ = false;
}

void PartitionCore::start_advanced(Offset start) {
  assert(start <= committed_);
  start_ = std::max(start_, start);
}

}  // namespace andyx::server
