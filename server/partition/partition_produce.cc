// The producing side of a partition: batches on their way to storage, and who waits for them.
#include <algorithm>

#include "frame_generated.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/dedup_recover.h"
#include "server/partition/partition.h"
#include "server/partition/state_keys.h"

namespace andyx::server {

void Partition::produce(const batch::Header& header, SharedBytes batch, MainEpoch epoch,
                        protocol::Acks acks, Reply reply) {
  if (auto open = check_fence(fences_, header); !open) {
    return reply.error({open.error().code, describe() + ": " + open.error().message});
  }
  std::vector<std::uint64_t> ids;
  if (core_.dedup().on()) ids = message_ids(batch.span(), header);
  auto produced = core_.produce(header, epoch, net::wall_time_us(), ids);
  if (!produced) {
    return reply.error({produced.error().code, describe() + ": " + produced.error().message});
  }
  const bool refused = !produced->repeated.empty();
  const bool append_it = !produced->duplicate && !refused;
  if (refused && acks == protocol::Acks::none) {
    refuse_repeated({std::move(reply), *produced, nullptr});
  } else if (acks == protocol::Acks::none) {
    Waiter at_once{std::move(reply), *produced, nullptr};
    at_once.produced.base_offset = kNoOffset;
    answer_produce(std::move(at_once));
  } else if (!append_it && core_.committed_offset() >= produced->end_offset) {
    answer_produce({std::move(reply), *produced, nullptr});
  } else {
    waiters_.push(produced->end_offset, {std::move(reply), *produced, nullptr});
  }
  if (append_it) append(*produced, header, std::move(batch));
}

void Partition::append_internal(SharedBytes batch, std::function<void(const Status&)> stored) {
  auto header = batch::read_header(batch.span());
  if (!header) return stored(std::unexpected(header.error()));
  auto produced = core_.produce(*header, 0, net::wall_time_us());
  if (!produced) {
    if (produced.error().code == ErrorCode::kDuplicateUnknown) return stored({});
    return stored(std::unexpected(produced.error()));
  }
  if (produced->duplicate && core_.committed_offset() >= produced->end_offset) return stored({});
  waiters_.push(produced->end_offset, {std::nullopt, *produced, std::move(stored)});
  if (!produced->duplicate) append(*produced, *header, std::move(batch));
}

void Partition::Waiter::fail(const Error& error) {
  if (reply)
    reply->error(error);
  else
    stored(std::unexpected(error));
}

void Partition::append(const PartitionCore::Produced& produced, const batch::Header& header,
                       SharedBytes batch) {
  batch::patch_server_fields(batch.mutable_data(), produced.epoch, produced.base_offset,
                             produced.append_time_us);
  bool pins_much = batch.size() * limits::kMinPinShare < batch.charged_bytes();
  cache_.append(produced.base_offset, header.count,
                pins_much ? SharedBytes::copy_of(batch.span()) : batch);
  producers_changed_ |= header.producer_id != 0;
  Writing writing{.from = produced.base_offset,
                  .to = produced.end_offset,
                  .append_time_us = produced.append_time_us,
                  .size_bytes = batch.size(),
                  .due = {}};
  // Of the patched header: `header` is as the producer sent it.
  if ((header.flags & batch::kFlagDeliverAt) != 0) {
    writing.due =
        DueIndex::rows_of(batch.span(), *batch::read_header(batch.span()), produced.append_time_us);
  }
  auto puts = due_.puts_of(writing.due);
  std::vector<storage::LogAppend> appends;
  appends.push_back({data_log(id_), std::move(batch)});
  ++writes_under_way_;
  loop_.writes().add(std::move(appends), std::move(puts),
                     [self = shared_from_this(), writing = std::move(writing)](ErrorCode error) {
                       self->written(writing, error);
                     });
}

void Partition::written(const Writing& batch, ErrorCode error) {
  --writes_under_way_;
  if (deleted_) {
    if (writes_under_way_ == 0) free_space();
    return;
  }
  if (error == ErrorCode::kOk) {
    core_.durable(batch.to);
    due_.added(batch.due);
    retention_.appended(batch.to, batch.append_time_us, batch.size_bytes);
    if (!batch.due.empty()) watch();
    committed_moved();
    return;
  }
  Offset from = batch.from;
  Error told{error, describe() + (error == ErrorCode::kStorageFailed
                                      ? ": the storage shard has stopped"
                                      : ": storage did not take the batch")};
  if (error == ErrorCode::kStorageFailed) {
    core_.storage_failed();
    from = core_.committed_offset();
  } else {
    core_.append_refused(from, batch.to);
  }
  cache_.truncate(from);
  waiters_.fail_from(from, [&](Waiter&& waiter) { waiter.fail(told); });
}

void Partition::committed_moved() {
  waiters_.pop(core_.committed_offset(),
               [this](Waiter&& waiter) { answer_produce(std::move(waiter)); });
  if (!parked_.empty()) {
    auto ready = std::partition(parked_.begin(), parked_.end(), [this](const ParkedRead& parked) {
      return parked.request.offset >= core_.committed_offset();
    });
    std::vector<ParkedRead> reads(std::make_move_iterator(ready),
                                  std::make_move_iterator(parked_.end()));
    parked_.erase(ready, parked_.end());
    for (auto& parked : reads) answer_read(parked.request, std::move(parked.reply));
  }
  for (Subscription* subscription : flowing_) subscription->committed(core_.committed_offset());
}

// The originals are committed: whoever repeats them is told where they are.
void Partition::refuse_repeated(Waiter waiter) {
  waiter.reply->body(protocol::Body::ErrorReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<protocol::DuplicateRecord> duplicates;
    for (const RepeatedMessage& message : waiter.produced.repeated)
      duplicates.emplace_back(message.offset, message.index);
    return make_error(builder,
                      {ErrorCode::kDuplicateMessage,
                       describe() + ": " + std::to_string(duplicates.size()) +
                           " messages of the batch were stored before, under the same message id"},
                      &duplicates);
  });
}

void Partition::answer_produce(Waiter waiter) {
  if (!waiter.produced.repeated.empty()) return refuse_repeated(std::move(waiter));
  const auto& produced = waiter.produced;
  if (!waiter.reply) return waiter.stored({});
  waiter.reply->body(protocol::Body::ProduceReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    return protocol::CreateProduceReply(builder, produced.base_offset, produced.append_time_us,
                                        produced.epoch, produced.duplicate);
  });
}

void Partition::snapshot_producers() {
  if (!std::exchange(producers_changed_, false) || core_.failed()) return;
  core_.producers().evict_idle(net::wall_time_us());
  auto bytes = core_.producers().encode(core_.committed_offset());
  // A lost snapshot costs a longer replay, nothing else.
  loop_.writes().add({},
                     {{storage::Table::kCursor, producer_snapshot_key(id_),
                       std::string(bytes.begin(), bytes.end())}},
                     [](ErrorCode) {});
}

}  // namespace andyx::server
