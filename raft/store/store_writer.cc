#include "raft/store/store_writer.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <chrono>

#include "raft/store/store_error.h"

namespace andyx::raft {
namespace {

constexpr std::uint64_t kRoundBytes = 4 << 20;   // of one WriteBatch, unless one write has more
constexpr std::uint64_t kRidingBytes = 1 << 20;  // that wait for a round to ride along with
constexpr std::uint64_t kPartsBatchBytes = 1 << 20;

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

rocksdb::Slice to_slice(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

StoreWriter::StoreWriter(StoreDatabase& database, Watermark& watermark, const Mark& mark,
                         const SnapshotRow& snapshot)
    : database_(database),
      watermark_(watermark),
      mark_(mark),
      snapshot_(snapshot),
      copier_(watermark) {}

void StoreWriter::submit(StoreTask task) {
  task.asked_ms = now_ms();
  const std::lock_guard lock(mutex_);
  queued_bytes_ += task.bytes;
  queue_.push_back(std::move(task));
  if (queue_.size() == 1) wake_.notify_one();
}

void StoreWriter::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_one();
}

void StoreWriter::on_failure(std::function<void(Error)> failed) {
  const std::lock_guard lock(mutex_);
  failed_ = std::move(failed);
  wake_.notify_one();
}

void StoreWriter::fail_with(Error error) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(error);
  wake_.notify_one();
}

std::uint64_t StoreWriter::oldest_age_ms() const {
  const std::lock_guard lock(mutex_);
  std::int64_t since = in_flight_since_ms_;
  if (since == 0 && !queue_.empty()) since = queue_.front().asked_ms;
  return since == 0 ? 0 : static_cast<std::uint64_t>(now_ms() - since);
}

void StoreWriter::run() {
  Turn turn;
  while ((turn = take()) == Turn::kWrite) {
    const bool syncs = std::ranges::any_of(round_, &StoreTask::sync);
    if (!syncs && riding_bytes_ < kRidingBytes) {
      answer(riding_);
      riding_ = round_.size();
      continue;
    }
    if (Status written = write_round(); !written) {
      fail_with(written.error());
      continue;
    }
    answer(riding_);
    round_.clear();
    riding_ = riding_bytes_ = 0;
  }
  if (turn == Turn::kStop && !round_.empty()) (void)write_round();  // nobody waits for these
  if (turn == Turn::kFailed) report_failure();
}

// Moves what is queued behind what rides along.
StoreWriter::Turn StoreWriter::take() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || failure_ || !queue_.empty(); });
  if (failure_) return Turn::kFailed;
  if (queue_.empty()) return Turn::kStop;
  in_flight_since_ms_ = queue_.front().asked_ms;
  std::uint64_t bytes = 0;
  while (!queue_.empty() && (bytes == 0 || bytes + queue_.front().bytes <= kRoundBytes)) {
    bytes += queue_.front().bytes;
    round_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  riding_bytes_ += bytes;
  return Turn::kWrite;
}

// Calls `done` of the round's tasks from `first` on.
void StoreWriter::answer(std::size_t first) {
  {
    const std::lock_guard lock(mutex_);
    in_flight_since_ms_ = 0;
  }
  for (std::size_t i = first; i < round_.size(); ++i) {
    queued_bytes_ -= round_[i].bytes;
    if (round_[i].done) std::exchange(round_[i].done, {})();
  }
}

void StoreWriter::add(const StoreTask& task, rocksdb::WriteBatch& batch) {
  for (Index index = task.remove_from; index < task.remove_to; ++index) {
    batch.Delete(entry_key(index));
  }
  Term previous_term = task.previous_term;
  for (const Entry& entry : task.entries) {
    const std::string key = entry_key(entry.index);
    const EntryHead head = encode_entry_head(entry, previous_term);
    const std::array<rocksdb::Slice, 1> keys{key};
    const std::array<rocksdb::Slice, 2> values{rocksdb::Slice(head.data(), head.size()),
                                               to_slice(entry.data.span())};
    batch.Put(rocksdb::SliceParts(keys.data(), 1), rocksdb::SliceParts(values.data(), 2));
    previous_term = entry.term;
  }
  if (task.snapshot) {
    if (snapshot_.meta.index != 0) {
      batch.Delete(snapshot_key(snapshot_.meta.index));
      for (std::uint32_t part = 0; part < snapshot_.parts(); ++part) {
        batch.Delete(snapshot_part_key(snapshot_.meta.index, part));
      }
    }
    const ByteSpan data = task.snapshot->data.span();
    snapshot_ = {
        .meta = task.snapshot->meta, .data_bytes = data.size(), .data_checksum = checksum_of(data)};
    batch.Put(snapshot_key(snapshot_.meta.index), encode_snapshot(snapshot_));
  }
}

// The parts count for nothing until a round has their snapshot's row, so they need not be written
// with it; that round's sync covers them, since they lie before it.
Status StoreWriter::write_snapshot_parts(const Snapshot& snapshot) {
  rocksdb::WriteBatch batch;
  const ByteSpan data = snapshot.data.span();
  std::uint32_t part = 0;
  for (std::size_t at = 0; at < data.size(); at += kSnapshotPartBytes, ++part) {
    const ByteSpan bytes = data.subspan(at, std::min(kSnapshotPartBytes, data.size() - at));
    batch.Put(snapshot_part_key(snapshot.meta.index, part), to_slice(bytes));
    if (batch.GetDataSize() < kPartsBatchBytes && at + bytes.size() < data.size()) continue;
    if (Status written = database_.write(batch, false); !written) return written;
    batch.Clear();
  }
  return {};
}

// Every round goes through here, and the next one begins when this one is durable in both places:
// so they are never further apart than one round.
Status StoreWriter::write_round() {
  rocksdb::WriteBatch batch;
  bool copied = mark_.fsync;
  for (const StoreTask& task : round_) {
    if (task.snapshot) {
      copied = false;
      if (Status written = write_snapshot_parts(*task.snapshot); !written) return written;
    }
    add(task, batch);
  }
  Mark mark{.state = round_.back().state, .fsync = mark_.fsync};
  mark.state.round = mark_.state.round + 1;
  batch.Put(state_key(), encode_state(mark.state));
  copied = copied && Watermark::takes(batch.GetDataSize());
  if (Status written = write_both(batch, mark, copied); !written) return written;
  mark_ = mark;
  synced_bytes_ += batch.GetDataSize();
  stored_.store(round_.back().number, std::memory_order_release);
  return {};
}

Status StoreWriter::write_both(rocksdb::WriteBatch& batch, const Mark& mark, bool copied) {
  if (!copied) {
    if (Status written = database_.write(batch, mark.fsync); !written) return written;
    return watermark_.publish({.mark = mark, .copy = {}}, mark.fsync);
  }
  copier_.begin({.mark = mark, .copy = batch.Data()});  // RocksDB numbers the batch in its place
  const Status written = database_.write(batch, true);
  const Status marked = copier_.finish();
  return written ? marked : written;
}

void StoreWriter::report_failure() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || failed_; });
  if (!failed_) return;
  const Error error = *failure_;
  const auto failed = failed_;
  lock.unlock();
  failed(error);
}

}  // namespace andyx::raft
