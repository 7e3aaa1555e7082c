#include "storage/shard_writer.h"

#include <rocksdb/db.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "protocol/base/limits.h"
#include "storage/rocksdb_error.h"
#include "storage/wal_layout.h"

namespace andyx::storage {
namespace {

constexpr std::size_t kRoundBytes = 4 << 20;      // of one WriteBatch, unless one group has more
constexpr std::size_t kRoundOverheadBytes = 192;  // the round's row in a memtable
constexpr std::size_t kBusyPollBytes = 8 << 10;   // after a larger round, throughput counts
constexpr int kPlaceAttempts = 3;
constexpr std::chrono::milliseconds kRetryPause{20};
constexpr std::chrono::milliseconds kAbandonedCheck{50};

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::uint64_t us_since(const std::atomic<std::int64_t>& started_us) {
  const std::int64_t since = started_us.load(std::memory_order_acquire);
  return since == 0 ? 0 : static_cast<std::uint64_t>(std::max<std::int64_t>(1, now_us() - since));
}

}  // namespace

ShardWriter::ShardWriter(Database& database, LogTable& table, Watermark& watermark,
                         ShardHealth& health, const WriterOptions& options, const Round& round)
    : database_(database),
      table_(table),
      watermark_(watermark),
      health_(health),
      options_(options),
      round_(round) {}

Status ShardWriter::submit(QueuedGroup queued) {
  std::unique_lock lock(queue_mutex_);
  if (stopping_) return fail(ErrorCode::kShuttingDown, "the storage shard is closed");
  if (Status healthy = health_.check(); !healthy) return healthy;
  if (queued_bytes_ != 0 && queued_bytes_ + queued.charged_bytes > options_.queue_bytes) {
    return fail(ErrorCode::kOverloaded,
                "the storage queue holds " + std::to_string(queued_bytes_) + " bytes");
  }
  if (Status reserved = table_.reserve(queued); !reserved) return reserved;
  queued_bytes_ += queued.charged_bytes;
  queue_.push_back(std::move(queued));
  const bool first = queue_.size() == 1;
  work_came_ = true;
  lock.unlock();  // else the writer wakes up only to wait for it
  if (first) wake_.notify_all();
  return {};
}

Status ShardWriter::call(Task task) {
  const auto promise = std::make_shared<std::promise<Status>>();
  std::future<Status> done = promise->get_future();
  {
    const std::lock_guard lock(queue_mutex_);
    if (stopping_) return fail(ErrorCode::kShuttingDown, "the storage shard is closed");
    if (Status healthy = health_.check(); !healthy) return healthy;
    tasks_.push_back(
        std::make_shared<std::function<void()>>([this, promise, task = std::move(task)] {
          Status healthy = health_.check();
          promise->set_value(healthy ? task() : healthy);
        }));
    work_came_ = true;
    wake_.notify_all();
  }
  while (done.wait_for(kAbandonedCheck) != std::future_status::ready) {
    const std::lock_guard lock(in_flight_mutex_);
    if (abandoned_) return health_.check();
  }
  return done.get();
}

void ShardWriter::wake() {
  const std::lock_guard lock(queue_mutex_);
  work_came_ = changes_noted_ = true;
  wake_.notify_all();
}

void ShardWriter::flush_ended() {
  const std::lock_guard lock(queue_mutex_);
  ++flushes_ended_;
  wake_.notify_all();
}

void ShardWriter::stop() {
  const std::lock_guard lock(queue_mutex_);
  work_came_ = stopping_ = true;
  wake_.notify_all();
}

std::size_t ShardWriter::queued_bytes() const {
  const std::lock_guard lock(queue_mutex_);
  return queued_bytes_;
}

std::uint64_t ShardWriter::running_us() const { return us_since(running_since_us_); }

std::uint64_t ShardWriter::waiting_us() const { return us_since(waiting_since_us_); }

void ShardWriter::run() {
  drain();
  if (!health_.fenced()) finish();
  stopped_.store(true, std::memory_order_release);
}

void ShardWriter::drain() {
  std::vector<QueuedGroup> groups;
  std::vector<std::shared_ptr<std::function<void()>>> tasks;
  while (take(groups, tasks)) {
    {
      const std::lock_guard lock(in_flight_mutex_);
      for (const QueuedGroup& queued : groups) {
        in_flight_.emplace_back(queued.observer, queued.group.token);
      }
    }
    if (generation_full() && !health_.fenced()) wait_for_room();
    if (health_.fenced()) {
      answer(false, groups);
    } else if (!groups.empty() || table_.has_changes()) {
      write_round(groups);
    }
    groups.clear();
    for (const auto& task : tasks) (*task)();
    tasks.clear();
    if (generation_full() && !health_.fenced()) try_cut();
    const std::lock_guard lock(in_flight_mutex_);
    if (abandoned_) return;
  }
}

// After a small round the next one comes soon, if its client waits for each: sooner than a thread
// that sleeps is woken up.
void ShardWriter::poll_for_work() {
  if (!std::exchange(small_round_, false) || options_.busy_poll_us == 0) return;
  const std::int64_t until = now_us() + options_.busy_poll_us;
  while (!work_came_.load(std::memory_order_acquire) && now_us() < until) sched_yield();
}

// False: stop. What is queued is drained first.
bool ShardWriter::take(std::vector<QueuedGroup>& groups,
                       std::vector<std::shared_ptr<std::function<void()>>>& tasks) {
  poll_for_work();
  std::unique_lock lock(queue_mutex_);
  work_came_ = false;
  wake_.wait(lock,
             [this] { return stopping_ || !queue_.empty() || !tasks_.empty() || changes_noted_; });
  if (queue_.empty() && tasks_.empty() && !changes_noted_) return false;
  changes_noted_ = false;
  std::size_t bytes = 0;
  while (!queue_.empty() && (bytes == 0 || bytes + queue_.front().charged_bytes <= kRoundBytes)) {
    bytes += queue_.front().charged_bytes;
    groups.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  tasks.swap(tasks_);
  return true;
}

void ShardWriter::write_round(std::vector<QueuedGroup>& groups) {
  table_.skip_dropped(groups);
  batch_.clear();
  RowWriter rows(database_, batch_);
  std::size_t charged = kRoundOverheadBytes;
  std::uint64_t written = 0;
  for (const QueuedGroup& queued : groups) {
    for (std::size_t i = 0; i < queued.infos.size(); ++i) {
      const AppendInfo& info = queued.infos[i];
      if (info.size_bytes == 0) continue;
      const LogAppend& append = queued.group.appends[i];
      rows.put_batch({round_.generation, append.log, info.last()}, append.batch.span());
      written += info.size_bytes;
      ++round_.generation_batches;
      ++round_.total_batches;
    }
    for (const StatePut& put : queued.group.puts) rows.put_state(put);
    charged += queued.charged_bytes;
  }
  for (const HeadChange& change : table_.take_changes()) {
    rows.put_change(change, round_.generation);
    charged += kRoundOverheadBytes;
  }
  small_round_ = written != 0 && written <= kBusyPollBytes;
  round_.generation_bytes += written;
  round_.total_bytes += written;
  open_bytes_ += charged;

  const bool ok = commit(batch_, options_.fsync).has_value();
  if (ok) {
    counters_.written_bytes += written;
    table_.publish_appends(groups);
  }
  answer(ok, groups);
}

// Every write goes through here: it counts the round, and moves the watermark once the WAL is
// synced.
Status ShardWriter::commit(RoundBatch& batch, bool sync) {
  ++round_.number;
  RowWriter(database_, batch).put_round(round_);
  const std::int64_t started = now_us();
  running_since_us_.store(started, std::memory_order_release);
  const auto written = write(batch, sync);
  Status marked;
  if (written.ok()) marked = watermark_.publish({.round = round_, .fsync = options_.fsync});
  running_since_us_.store(0, std::memory_order_release);
  if (!written.ok()) {
    health_.fence("a write failed: " + written.ToString());
    return health_.check();
  }
  if (!marked) {
    health_.fence(marked.error().message);
    return health_.check();
  }
  ++counters_.syncs;
  counters_.last_sync_us = static_cast<std::uint64_t>(now_us() - started);
  return health_.check();  // fenced meanwhile, as hung: nothing that it wrote counts
}

// The rows of batches say where in the WAL they lie, in the very record that holds them: nobody
// else writes to it, so the record begins where the file ends. Should RocksDB have begun another
// file with this write, it is all written once more; the rows of the second time replace those of
// the first.
rocksdb::Status ShardWriter::write(RoundBatch& batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  if (batch.placed.empty()) return database_.db().Write(options, &batch.rows);
  Segments& segments = database_.segments();
  for (int attempt = 0; attempt < kPlaceAttempts; ++attempt) {
    const Segments::Tail tail = segments.tail();
    const std::uint64_t record = wal::record_begin(tail.bytes);
    RowWriter(database_, batch).put_places(tail.file, record);
    const Segments::Tail expected{tail.file, wal::record_end(record, batch.rows.GetDataSize())};
    if (first_file_ == 0) segments.open_generation_begins_in(first_file_ = tail.file);
    const auto written = database_.db().Write(options, &batch.rows);
    last_file_ = tail.file;
    last_file_bytes_ = expected.bytes;
    if (!written.ok() || segments.tail() == expected) return written;
  }
  return rocksdb::Status::Aborted("RocksDB begins WAL files of its own accord");
}

Status ShardWriter::commit_task(RoundBatch& batch, Delta delta) {
  round_.generation_batches += static_cast<std::uint64_t>(delta.batches);
  round_.generation_bytes += static_cast<std::uint64_t>(delta.bytes);
  open_bytes_ += batch.rows.GetDataSize() + kRoundOverheadBytes;
  return commit(batch, true);
}

void ShardWriter::answer(bool written, std::vector<QueuedGroup>& groups) {
  const ErrorCode code = written ? ErrorCode::kOk : ErrorCode::kStorageFailed;
  {
    const std::lock_guard lock(in_flight_mutex_);
    if (abandoned_) return;
    in_flight_.clear();
  }
  ResultsByObserver results;
  for (const QueuedGroup& queued : groups) {
    results.add(queued.observer, {.token = queued.group.token, .error = code});
  }
  results.publish();
}

void ShardWriter::abandon() {
  ResultsByObserver results;
  {
    const std::lock_guard lock(in_flight_mutex_);
    if (abandoned_) return;
    abandoned_ = true;
    for (const auto& [observer, token] : in_flight_) {
      results.add(observer, {.token = token, .error = ErrorCode::kStorageFailed});
    }
    in_flight_.clear();
  }
  {
    const std::lock_guard lock(queue_mutex_);
    for (const QueuedGroup& queued : queue_) {
      results.add(queued.observer,
                  {.token = queued.group.token, .error = ErrorCode::kStorageFailed});
    }
    queue_.clear();
    queued_bytes_ = 0;
  }
  results.publish();
}

// The open generation is full and may not be cut yet: nothing is written until a flush has ended.
// The queue fills meanwhile, and submit answers kOverloaded.
void ShardWriter::wait_for_room() {
  waiting_since_us_.store(now_us(), std::memory_order_release);
  while (!health_.fenced() && !try_cut()) {
    std::unique_lock lock(queue_mutex_);
    const std::uint64_t seen = flushes_ended_;
    wake_.wait_for(lock, kRetryPause, [&] { return flushes_ended_ != seen; });
  }
  waiting_since_us_.store(0, std::memory_order_release);
}

// Seals the open generation: its rows, then a flush of all families exactly there. Should RocksDB
// put the flush off, the generation stays open, and its rows are written again at the next try.
bool ShardWriter::try_cut() {
  if (database_.unflushed_memtables() + 1 >= limits::kMaxUnflushedGenerations) return false;
  RoundBatch batch;
  RowWriter(database_, batch).put_cut(table_.cut_logs(), round_.generation, sealed());
  if (!commit(batch, options_.fsync)) return false;
  const auto flushing = database_.start_flush_of_all();
  if (!flushing) {
    health_.fence(flushing.error().message);
    return false;
  }
  if (!*flushing) return false;
  next_generation();
  return true;
}

// What is known of the open generation.
Sealed ShardWriter::sealed() const {
  return {.batches = round_.generation_batches,
          .bytes = round_.generation_bytes,
          .first_file = first_file_,
          .last_file = last_file_,
          .last_file_bytes = last_file_ == 0 ? 0 : last_file_bytes_};
}

void ShardWriter::next_generation() {
  table_.seal(sealed());
  ++round_.generation;
  round_.generation_batches = 0;
  round_.generation_bytes = 0;
  open_bytes_ = 0;
  first_file_ = last_file_ = last_file_bytes_ = 0;
  database_.segments().open_generation_begins_in(0);
}

// A clean stop: the generation is sealed and flushed, so that the next start has nothing to replay.
void ShardWriter::finish() {
  RoundBatch batch;
  if (round_.generation_batches > 0) {
    RowWriter(database_, batch).put_cut(table_.cut_logs(), round_.generation, sealed());
    next_generation();
  }
  if (!commit(batch, true)) return;
  if (Status flushed = database_.flush_all(); !flushed) {
    health_.fence(flushed.error().message);
    return;
  }
  Status marked =
      watermark_.publish({.round = round_, .clean_stop = true, .fsync = options_.fsync});
  if (marked) marked = watermark_.sync();
  if (!marked) health_.fence(marked.error().message);
}

}  // namespace andyx::storage
