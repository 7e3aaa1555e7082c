#include "server/subscription/cursor_log.h"

#include <cassert>
#include <utility>

#include "protocol/batch/batch_builder.h"
#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"
#include "server/partition/state_keys.h"

namespace andyx::server {
namespace {

constexpr std::size_t kRecordBytes = 4 * limits::kMiB;         // changes in one record, about
constexpr std::size_t kSnapshotAfterBytes = 1 * limits::kMiB;  // of records, at least

ByteSpan bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

CursorLog::CursorLog(CoreLoop& loop, Partition& partition, PartitionId id)
    : loop_(loop), partition_(partition), id_(id) {}

Status CursorLog::recover(const std::function<void(const CursorChange&)>& apply) {
  auto& shard = *loop_.node().shard;
  Offset from = 0;
  auto snapshot = shard.get(storage::Table::kCursor, cursor_snapshot_key(id_));
  if (!snapshot) return std::unexpected(snapshot.error());
  if (*snapshot) {
    auto record = decode_cursor_record(bytes_of(**snapshot));
    if (!record) return std::unexpected(record.error());
    for (const CursorChange& change : record->changes) apply(change);
    from = record->covered;
    snapshot_bytes_ = (*snapshot)->size();
  }
  auto state = shard.log_state(internal_log(id_));
  end_ = state ? state->end_offset : from;
  while (from < end_) {
    auto batches = shard.read(internal_log(id_), from, limits::kMaxReadBytes);
    if (!batches) return std::unexpected(batches.error());
    for (const SharedBytes& bytes : *batches) {
      auto reader = batch::BatchReader::open(bytes.span());
      if (!reader) return std::unexpected(reader.error());
      batch::Record stored;
      if (auto read = reader->read(0, stored); !read) return read;
      auto record = decode_cursor_record(bytes_of(stored.payload));
      if (!record) return std::unexpected(record.error());
      if (reader->header().base_offset >= from) {
        for (const CursorChange& change : record->changes) apply(change);
      }
      from = reader->header().end_offset();
      bytes_since_snapshot_ += bytes.size();
    }
    if (batches->empty()) return fail(ErrorCode::kCorrupt, "the internal log ends before its end");
  }
  return {};
}

void CursorLog::changed(SubscriptionId subscription, Confirmed confirmed) {
  if (closed_) {
    if (confirmed)
      confirmed(fail(ErrorCode::kUnknownTopic, partition_.describe() + ": the topic was deleted"));
    return;
  }
  dirty_.insert(subscription);
  if (confirmed) waiting_.push_back(std::move(confirmed));
  schedule();
}

void CursorLog::deleted(SubscriptionId subscription) {
  if (closed_) return;
  dirty_.erase(subscription);
  deleted_.push_back(subscription);
  schedule();
}

void CursorLog::schedule() {
  if (writing_ || std::exchange(scheduled_, true)) return;
  loop_.net_loop().at_end_of_turn([this, keep = partition_.shared_from_this()] {
    scheduled_ = false;
    if (!writing_ && !closed_) write_round();
  });
}

void CursorLog::gather(Round& round) {
  for (SubscriptionId id : std::exchange(deleted_, {})) {
    round.changes.push_back({.subscription = id, .kind = CursorChange::Kind::kDeleted});
  }
  for (SubscriptionId id : std::exchange(dirty_, {})) {
    auto* subscription = partition_.find_subscription(id);
    if (subscription == nullptr) continue;
    if (auto change = subscription->core().take_change()) {
      round.changes.push_back(std::move(*change));
      round.subscriptions.push_back(id);
    }
  }
  round.confirmed = std::exchange(waiting_, {});
}

void CursorLog::write_round() {
  Round round;
  gather(round);
  if (round.changes.empty()) {
    for (auto& confirmed : round.confirmed) confirmed({});
    return;
  }
  round.first = end_;
  std::vector<storage::LogAppend> appends;
  auto now_us = net::wall_time_us();
  for (std::size_t first = 0; first < round.changes.size();) {
    std::size_t bytes = 0, count = 0;
    while (first + count < round.changes.size() && (count == 0 || bytes < kRecordBytes)) {
      bytes += change_bytes(round.changes[first + count++]);
    }
    auto payload = encode_cursor_record(std::span(round.changes).subspan(first, count));
    batch::BatchBuilder builder;
    auto added =
        builder.add({.payload = {reinterpret_cast<const char*>(payload.data()), payload.size()},
                     .time_us = now_us});
    assert(added);
    auto batch = builder.build({});
    batch::patch_server_fields(batch.mutable_data(), partition_.core().epoch(), end_++, now_us);
    bytes_since_snapshot_ += batch.size();
    appends.push_back({internal_log(id_), std::move(batch)});
    first += count;
  }
  round.end = end_;
  std::vector<storage::StatePut> puts;
  if (bytes_since_snapshot_ > std::max(kSnapshotAfterBytes, 4 * snapshot_bytes_)) {
    puts.push_back(snapshot());
    round.snapshot = true;
    snapshot_bytes_ = puts.back().value->size();
    bytes_since_snapshot_ = 0;
  }
  writing_ = true;
  partition_.write_begins();
  loop_.cursor_writes().add(std::move(appends), std::move(puts),
                            [this, keep = partition_.shared_from_this(),
                             round = std::move(round)](ErrorCode error) mutable {
                              written(error, std::move(round));
                              partition_.write_ended();
                            });
}

// The state of every subscription as this round leaves it.
storage::StatePut CursorLog::snapshot() const {
  std::vector<CursorChange> states;
  for (const auto& [id, subscription] : partition_.subscriptions()) {
    if (subscription->started()) states.push_back(subscription->core().state());
  }
  auto bytes = encode_cursor_record(states, end_);
  return {storage::Table::kCursor, cursor_snapshot_key(id_),
          std::string(bytes.begin(), bytes.end())};
}

void CursorLog::written(ErrorCode error, Round round) {
  writing_ = false;
  if (closed_) error = ErrorCode::kUnknownTopic;
  if (error == ErrorCode::kOk) {
    for (auto& confirmed : round.confirmed) confirmed({});
    if (round.snapshot) {
      if (auto trimmed = loop_.node().shard->advance_start(internal_log(id_), round.end);
          !trimmed) {
        log::warn("internal log not trimmed",
                  {{"partition", partition_.describe()}, {"error", trimmed.error().message}});
      }
    }
  } else {
    lost(error, round);
  }
  // After a failure it is tried again with the next change, not in a loop.
  if (!closed_ && error == ErrorCode::kOk && !idle()) schedule();
}

// Not written (a full disk), or maybe (the shard has stopped): who asked is told; the state in
// memory stands, and goes with the next record.
void CursorLog::lost(ErrorCode error, Round& round) {
  end_ = round.first;  // one round at a time: nothing stands behind it
  for (const CursorChange& change : round.changes) {
    if (change.kind == CursorChange::Kind::kDeleted) deleted_.push_back(change.subscription);
  }
  for (SubscriptionId id : round.subscriptions) {
    if (auto* subscription = partition_.find_subscription(id)) {
      subscription->core().change_lost();
      dirty_.insert(id);
    }
  }
  for (auto& confirmed : round.confirmed) {
    confirmed(fail(error, partition_.describe() + ": the answer was not made durable"));
  }
}

void CursorLog::close() {
  closed_ = true;
  for (auto& confirmed : std::exchange(waiting_, {})) {
    confirmed(fail(ErrorCode::kUnknownTopic, partition_.describe() + ": the topic was deleted"));
  }
}

}  // namespace andyx::server
