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
  if (!is_main()) return reply.error(not_main());
  if (auto open = check_fence(fences_, header); !open) {
    return reply.error({open.error().code, describe() + ": " + open.error().message});
  }
  if (auto may = may_take(header, acks); !may) return reply.error(may.error());
  std::vector<std::uint64_t> ids;
  if (core_.dedup().on()) ids = message_ids(batch.span(), header);
  auto produced = core_.produce(header, epoch, net::wall_time_us(), ids);
  if (!produced) {
    return reply.error({produced.error().code, describe() + ": " + produced.error().message});
  }
  const bool append_it = !produced->duplicate && produced->repeated.empty();
  const std::uint64_t token = wait_for({std::move(reply), acks, *produced, nullptr}, append_it);
  if (append_it) append(*produced, header, std::move(batch), acks, token);
}

// A duplicate is not refused here: its original may be stored, which a refusal would deny.
Status Partition::may_take(const batch::Header& header, protocol::Acks acks) {
  auto may = log_.may_append(acks);
  if (may) return {};
  const auto verdict = core_.producers().check(header);
  if (verdict && verdict->duplicate && log_.leads()) return {};
  return fail(may.error().code, describe() + ": " + may.error().message);
}

// Answers at once, or when it is stored as durably as asked. The token of the answer to come, 0
// where there is no other copy.
std::uint64_t Partition::wait_for(Waiter waiter, bool append_it) {
  const protocol::Acks acks = waiter.acks;
  const Offset end = waiter.produced.end_offset;
  if (acks == protocol::Acks::none) waiter.produced.base_offset = kNoOffset;
  if (acks == protocol::Acks::none && append_it) {
    answer_produce(std::move(waiter));
    return 0;
  }
  if (log_.main() == nullptr) {
    if (!append_it && (acks == protocol::Acks::none || core_.committed_offset() >= end))
      answer_produce(std::move(waiter));
    else
      waiters_.push(end, std::move(waiter));
    return 0;
  }
  const std::uint64_t token = next_token_++;
  waiting_.emplace(token, std::move(waiter));
  if (!append_it) log_.duplicate(end, acks, token);
  return token;
}

void Partition::append_internal(SharedBytes batch, std::function<void(const Status&)> stored) {
  if (!is_main()) return stored(std::unexpected(not_main()));
  auto header = batch::read_header(batch.span());
  if (!header) return stored(std::unexpected(header.error()));
  constexpr auto kAcks = protocol::Acks::quorum;
  if (auto may = may_take(*header, kAcks); !may) return stored(may);
  auto produced = core_.produce(*header, 0, net::wall_time_us());
  if (!produced) {
    if (produced.error().code == ErrorCode::kDuplicateUnknown) return stored({});
    return stored(std::unexpected(produced.error()));
  }
  const bool append_it = !produced->duplicate;
  const std::uint64_t token =
      wait_for({std::nullopt, kAcks, *produced, std::move(stored)}, append_it);
  if (append_it) append(*produced, *header, std::move(batch), kAcks, token);
}

void Partition::Waiter::fail(const Error& error) {
  if (reply)
    reply->error(error);
  else
    stored(std::unexpected(error));
}

void Partition::append(const PartitionCore::Produced& produced, const batch::Header& header,
                       SharedBytes batch, protocol::Acks acks, std::uint64_t token) {
  batch::patch_server_fields(batch.mutable_data(), produced.epoch, produced.base_offset,
                             produced.append_time_us);
  batch::Header stored = header;
  stored.main_epoch = produced.epoch;
  stored.base_offset = produced.base_offset;
  stored.append_time_us = produced.append_time_us;
  traffic_.add_in(batch.size());
  bool pins_much = batch.size() * limits::kMinPinShare < batch.charged_bytes();
  cache_.append(produced.base_offset, header.count,
                pins_much ? SharedBytes::copy_of(batch.span()) : batch);
  std::vector<storage::StatePut> puts;
  if (auto row = log_.appended(stored, batch, acks, token)) puts.push_back(std::move(*row));
  write(stored, std::move(batch), std::move(puts), Awaited::kYes);
  log_.act();
}

// To storage, with what is derived from it.
void Partition::write(const batch::Header& header, SharedBytes batch,
                      std::vector<storage::StatePut> puts, Awaited awaited) {
  producers_changed_ |= header.producer_id != 0;
  Writing writing{.from = header.base_offset,
                  .to = header.end_offset(),
                  .append_time_us = header.append_time_us,
                  .size_bytes = batch.size(),
                  .due = {}};
  if ((header.flags & batch::kFlagDeliverAt) != 0) {
    writing.due = DueIndex::rows_of(batch.span(), header, header.append_time_us);
    auto rows = due_.puts_of(writing.due);
    puts.insert(puts.end(), std::make_move_iterator(rows.begin()),
                std::make_move_iterator(rows.end()));
  }
  std::vector<storage::LogAppend> appends;
  appends.push_back({data_log(id_), std::move(batch)});
  ++writes_under_way_;
  loop_.writes().add(
      std::move(appends), std::move(puts),
      [self = shared_from_this(), writing = std::move(writing)](ErrorCode error) {
        self->written(writing, error);
      },
      awaited);
}

void Partition::written(const Writing& batch, ErrorCode error) {
  if (deleted_ || removed_) return write_ended();
  --writes_under_way_;
  if (error == ErrorCode::kOk) {
    core_.durable(batch.to);
    due_.added(batch.due);
    retention_.appended(batch.to, batch.append_time_us, batch.size_bytes);
    if (!batch.due.empty()) watch();
    return log_.written(batch.from, batch.to, error);
  }
  Offset from = batch.from;
  const Error told{error, describe() + (error == ErrorCode::kStorageFailed
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
  log_.written(batch.from, batch.to, error);
  if (error != ErrorCode::kStorageFailed) return;
  for (auto& [token, waiter] : std::exchange(waiting_, {})) waiter.fail(told);
}

// The core says what came of it.
void Partition::answer(std::uint64_t token, ErrorCode error) {
  auto found = waiting_.extract(token);
  if (found.empty()) return;  // told when it was appended: acks none
  Waiter waiter = std::move(found.mapped());
  if (error == ErrorCode::kOk) return answer_produce(std::move(waiter));
  waiter.fail({error, describe() + (error == ErrorCode::kDiskFull
                                        ? ": storage did not take the batch"
                                        : ": the copies did not confirm the batch while this node "
                                          "was main; it may be stored")});
}

void Partition::committed_moved(Offset committed) {
  core_.committed(committed);
  if (!is_main()) return;
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

// On how many nodes that is which is answered now.
std::uint8_t Partition::copies(protocol::Acks acks) const {
  if (acks != protocol::Acks::quorum) return acks == protocol::Acks::main ? 1 : 0;
  return static_cast<std::uint8_t>(std::max<std::size_t>(record_.in_sync.size(), 1));
}

void Partition::answer_produce(Waiter waiter) {
  if (!waiter.produced.repeated.empty()) return refuse_repeated(std::move(waiter));
  const auto& produced = waiter.produced;
  if (!waiter.reply) return waiter.stored({});
  waiter.reply->body(protocol::Body::ProduceReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    return protocol::CreateProduceReply(builder, produced.base_offset, produced.append_time_us,
                                        produced.epoch, produced.duplicate, copies(waiter.acks));
  });
}

void Partition::snapshot_producers() {
  if (!std::exchange(producers_changed_, false) || core_.failed()) return;
  core_.producers().evict_idle(net::wall_time_us());
  auto bytes = core_.producers().encode(core_.committed_offset());
  // A lost snapshot costs a longer replay, nothing else. Never of more than what is committed: that
  // is not cut.
  loop_.writes().add(
      {},
      {{storage::Table::kCursor, producer_snapshot_key(id_),
        std::string(bytes.begin(), bytes.end())}},
      [](ErrorCode) {}, Awaited::kNo);
}

}  // namespace andyx::server
