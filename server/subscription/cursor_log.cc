#include "server/subscription/cursor_log.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "common_generated.h"
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

Result<CursorRecord> record_of(const SharedBytes& batch) {
  auto reader = batch::BatchReader::open(batch.span());
  if (!reader) return std::unexpected(reader.error());
  batch::Record stored;
  if (auto read = reader->read(0, stored); !read) return std::unexpected(read.error());
  return decode_cursor_record(bytes_of(stored.payload));
}

}  // namespace

CursorLog::CursorLog(CoreLoop& loop, Partition& partition, PartitionId id)
    : loop_(loop),
      partition_(partition),
      id_(id),
      // It follows the messages' log: who joins there is to join here at once.
      log_(loop, *this, id, true, MainOptions{.join_after_ms = 0}) {}

Status CursorLog::recover() {
  auto& shard = *loop_.node().shard;
  const auto old = shard.get(storage::Table::kCursor, cursor_snapshot_key(id_));
  if (!old) return std::unexpected(old.error());
  old_snapshot_ = old->has_value();
  if (const auto state = shard.log_state(internal_log(id_))) bytes_since_snapshot_ = state->bytes;
  return log_.recover();
}

// Earlier versions kept snapshots beside the log, with the offset up to which they speak.
Result<std::vector<CursorChange>> CursorLog::read(storage::StorageShard& shard, PartitionId id) {
  std::vector<CursorChange> changes;
  const auto state = shard.log_state(internal_log(id)).value_or(storage::LogState{});
  Offset from = state.start_offset;
  auto snapshot = shard.get(storage::Table::kCursor, cursor_snapshot_key(id));
  if (!snapshot) return std::unexpected(snapshot.error());
  if (*snapshot) {
    auto record = decode_cursor_record(bytes_of(**snapshot));
    if (!record) return std::unexpected(record.error());
    changes = std::move(record->changes);
    from = std::max(from, record->covered);
  }
  while (from < state.end_offset) {
    auto batches = shard.read(internal_log(id), from, limits::kMaxReadBytes);
    if (!batches) return std::unexpected(batches.error());
    if (batches->empty()) return fail(ErrorCode::kCorrupt, "the internal log ends before its end");
    for (const SharedBytes& bytes : *batches) {
      auto record = record_of(bytes);
      if (!record) return std::unexpected(record.error());
      changes.insert(changes.end(), std::make_move_iterator(record->changes.begin()),
                     std::make_move_iterator(record->changes.end()));
      from = batch::read_header(bytes.span())->end_offset();
    }
  }
  return changes;
}

Result<DueKey> CursorLog::read_due_removed(storage::StorageShard& shard, PartitionId id,
                                           Offset committed) {
  const auto state = shard.log_state(internal_log(id)).value_or(storage::LogState{});
  const Offset end = std::min(committed, state.end_offset);
  if (end <= state.start_offset) return DueKey{};
  const auto batches = shard.read(internal_log(id), end - 1, 1);
  if (!batches) return std::unexpected(batches.error());
  if (batches->empty()) return DueKey{};
  const auto record = record_of(batches->front());
  if (!record) return std::unexpected(record.error());
  return record->due_removed;
}

// ---- Roles ----

void CursorLog::stand_down(const Error& reason) {
  log_.stand_down();  // answers the round that is being written, where there are other copies
  if (round_) {
    Round round = std::move(*round_);
    round_.reset();
    lost(reason, round);
  }
  snapshot_due_ = tells_due_ = false;
  told_due_ = {};
  dirty_.clear();
  deleted_.clear();
  for (auto& confirmed : std::exchange(waiting_, {})) confirmed(std::unexpected(reason));
}

void CursorLog::serving_begins_here() {
  snapshot_due_ = old_snapshot_;
  if (!idle()) schedule();
}

std::shared_ptr<void> CursorLog::keep() { return partition_.shared_from_this(); }

std::string CursorLog::describe() const { return partition_.describe() + " (internal log)"; }

void CursorLog::settled() { partition_.cursors_settled(); }

void CursorLog::serving_begins() { partition_.internal_serving_begins(); }

void CursorLog::propose(const SetProposal& proposal) { partition_.propose_internal(proposal); }

void CursorLog::ask_for_new_epoch(MainEpoch epoch) { partition_.ask_for_new_epoch(epoch); }

void CursorLog::store(const batch::Header& header, SharedBytes batch,
                      std::vector<storage::StatePut> puts, Awaited awaited) {
  std::vector<storage::LogAppend> appends;
  appends.push_back({internal_log(id_), std::move(batch)});
  partition_.write_begins();
  loop_.cursor_writes().add(
      std::move(appends), std::move(puts),
      [this, keep = keep(), from = header.base_offset, to = header.end_offset()](ErrorCode error) {
        written(from, to, error);
      },
      awaited);
}

// ---- Changes ----

void CursorLog::changed(SubscriptionId subscription, Confirmed confirmed) {
  if (closed_ || !log_.leads()) {
    if (confirmed) confirmed(std::unexpected(closed_ ? *closed_ : partition_.not_main()));
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

void CursorLog::due_rows_removed(DueKey to) {
  if (closed_ || log_.main() == nullptr || to <= told_due_) return;
  tells_due_ = true;
  schedule();
}

void CursorLog::schedule() {
  if (round_ || std::exchange(scheduled_, true)) return;
  loop_.net_loop().at_end_of_turn([this, keep = keep()] {
    scheduled_ = false;
    if (!round_ && !closed_ && log_.leads()) write_round();
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

bool CursorLog::wants_snapshot(const Round& round) const {
  std::size_t bytes = bytes_since_snapshot_;
  for (const CursorChange& change : round.changes) bytes += change_bytes(change);
  return snapshot_due_ || bytes > std::max(kSnapshotAfterBytes, 4 * snapshot_bytes_);
}

void CursorLog::write_round() {
  Round round;
  gather(round);
  const bool with_snapshot = wants_snapshot(round);
  const bool tells_due = std::exchange(tells_due_, false);
  if (round.changes.empty() && !with_snapshot && !tells_due) {
    for (auto& confirmed : round.confirmed) confirmed({});
    return;
  }
  if (auto may = log_.may_append(protocol::Acks::quorum); !may) return lost(may.error(), round);
  round.token = next_token_++;
  std::vector<CursorChange> states;
  if (with_snapshot) states = this->states();
  const Offset from = log_.copy().end;
  round_ = std::move(round);
  std::vector<storage::LogAppend> appends;
  std::vector<storage::StatePut> puts;
  if (round_->changes.empty() && tells_due && !with_snapshot)
    add_record({}, protocol::Acks::quorum, round_->token, appends, puts);
  append_records(round_->changes, states.empty(), appends, puts);
  if (with_snapshot) {
    const std::size_t before = round_->bytes;
    round_->snapshot = log_.copy().end;
    append_records(states, true, appends, puts);
    round_->snapshot_bytes = round_->bytes - before;
    if (old_snapshot_)
      puts.push_back({storage::Table::kCursor, cursor_snapshot_key(id_), std::nullopt});
  }
  hand_over(from, std::move(appends), std::move(puts));
}

void CursorLog::append_records(std::span<const CursorChange> changes, bool last,
                               std::vector<storage::LogAppend>& appends,
                               std::vector<storage::StatePut>& puts) {
  for (std::size_t first = 0; first < changes.size();) {
    std::size_t bytes = 0, count = 0;
    while (first + count < changes.size() && (count == 0 || bytes < kRecordBytes)) {
      bytes += change_bytes(changes[first + count++]);
    }
    // The answer to the last record is the answer to all.
    const bool waited_for = last && first + count == changes.size();
    add_record(changes.subspan(first, count),
               waited_for ? protocol::Acks::quorum : protocol::Acks::none,
               waited_for ? round_->token : 0, appends, puts);
    first += count;
  }
}

void CursorLog::add_record(std::span<const CursorChange> changes, protocol::Acks acks,
                           std::uint64_t token, std::vector<storage::LogAppend>& appends,
                           std::vector<storage::StatePut>& puts) {
  const TimeUs now_us = net::wall_time_us();
  told_due_ = partition_.due_index().removed_to();
  const auto payload = encode_cursor_record(changes, told_due_);
  batch::BatchBuilder builder;
  const auto added =
      builder.add({.payload = {reinterpret_cast<const char*>(payload.data()), payload.size()},
                   .time_us = now_us});
  assert(added);
  auto batch = builder.build({});
  batch::patch_server_fields(batch.mutable_data(), log_.epoch(), log_.copy().end, now_us);
  round_->bytes += batch.size();
  const auto header = batch::read_header(batch.span());
  if (auto row = log_.appended(*header, batch, acks, token)) puts.push_back(std::move(*row));
  appends.push_back({internal_log(id_), std::move(batch)});
}

// The state of every subscription as this round leaves it.
std::vector<CursorChange> CursorLog::states() const {
  std::vector<CursorChange> states;
  for (const auto& [id, subscription] : partition_.subscriptions()) {
    if (subscription->started()) states.push_back(subscription->core().state());
  }
  return states;
}

// One write, whose outcome is that of each of its records.
void CursorLog::hand_over(Offset from, std::vector<storage::LogAppend> appends,
                          std::vector<storage::StatePut> puts) {
  if (appends.empty()) {  // nobody is subscribed: only the old snapshot goes
    loop_.cursor_writes().add(
        {}, std::move(puts),
        [this, keep = keep(), token = round_->token](ErrorCode error) { answer(token, error); });
    return;
  }
  std::vector<Offset> ends;
  for (const auto& append : appends)
    ends.push_back(batch::read_header(append.batch.span())->end_offset());
  partition_.write_begins();
  loop_.cursor_writes().add(std::move(appends), std::move(puts),
                            [this, keep = keep(), from, ends = std::move(ends)](ErrorCode error) {
                              Offset at = from;
                              for (const Offset end : ends) {
                                log_.written(at, end, error);
                                at = end;
                              }
                              if (error != ErrorCode::kOk && round_) finish(error);
                              partition_.write_ended();
                            });
  log_.act();
}

void CursorLog::written(Offset from, Offset to, ErrorCode error) {
  log_.written(from, to, error);
  partition_.write_ended();
  partition_.cursors_settled();
}

void CursorLog::committed_moved(Offset committed) {
  // A main without other copies has nobody who would answer the token.
  if (log_.leads() && log_.main() == nullptr && round_ && committed >= log_.copy().end)
    finish(ErrorCode::kOk);
}

void CursorLog::answer(std::uint64_t token, ErrorCode error) {
  if (round_ && round_->token == token) finish(error);
}

void CursorLog::finish(ErrorCode error) {
  Round round = std::move(*round_);
  round_.reset();
  if (error == ErrorCode::kOk) {
    bytes_since_snapshot_ += round.bytes;
    for (auto& confirmed : round.confirmed) confirmed({});
    if (round.snapshot) {
      snapshot_bytes_ = bytes_since_snapshot_ = round.snapshot_bytes;
      snapshot_due_ = old_snapshot_ = false;
      trim(*round.snapshot);
      log_.start_advanced(*round.snapshot);
    }
  } else {
    lost({error, partition_.describe() + ": the answer was not made durable"}, round);
  }
  // After a failure it is tried again with the next change, not in a loop.
  if (!closed_ && error == ErrorCode::kOk && !idle()) schedule();
}

void CursorLog::trim(Offset start) {
  auto& shard = *loop_.node().shard;
  if (!shard.log_state(internal_log(id_))) return;
  if (auto trimmed = shard.advance_start(internal_log(id_), start); !trimmed)
    log::warn("internal log not trimmed",
              {{"partition", partition_.describe()}, {"error", trimmed.error().message}});
}

// Not written (a full disk), or maybe (the shard has stopped, this node is main no longer): who
// asked is told; the state in memory stands, and goes with the next record.
void CursorLog::lost(const Error& error, Round& round) {
  told_due_ = {};
  for (const CursorChange& change : round.changes) {
    if (change.kind == CursorChange::Kind::kDeleted) deleted_.push_back(change.subscription);
  }
  for (SubscriptionId id : round.subscriptions) {
    if (auto* subscription = partition_.find_subscription(id)) {
      subscription->core().change_lost();
      dirty_.insert(id);
    }
  }
  for (auto& confirmed : round.confirmed) confirmed(std::unexpected(error));
}

void CursorLog::close(const Error& reason) {
  closed_ = reason;
  stand_down(reason);
}

}  // namespace andyx::server
