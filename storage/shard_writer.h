// The one thread that writes to a shard's RocksDB. It drains the queue of groups into one
// WriteBatch, writes and syncs it, moves the watermark, publishes the ends of the logs and answers
// the observers: group commit comes by itself. It cuts generations and holds writes back while too
// many of them are unflushed.
//
// run() is the thread. submit, call, wake, flush_ended, running_us, abandon and stop come from any
// thread; the rest (marked) from tasks, which run on the writer thread between two rounds.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "storage/database.h"
#include "storage/log_table.h"
#include "storage/rows.h"
#include "storage/shard_health.h"
#include "storage/watermark.h"

namespace andyx::storage {

struct WriterOptions {
  std::size_t generation_bytes = 0;
  std::size_t queue_bytes = 0;
  bool fsync = true;
  std::uint32_t busy_poll_us = 0;
};

struct WriterCounters {
  std::atomic<std::uint64_t> written_bytes{0};
  std::atomic<std::uint64_t> copied_bytes{0};
  std::atomic<std::uint64_t> syncs{0};
  std::atomic<std::uint64_t> last_sync_us{0};
};

class ShardWriter {
 public:
  ShardWriter(Database& database, LogTable& table, Watermark& watermark, ShardHealth& health,
              const WriterOptions& options, const Round& round);

  void run();  // until stop(), or abandoned

  Status submit(QueuedGroup queued);

  // Runs `task` on the writer thread between two rounds, and waits for it. The task must own what
  // it uses: when the writer hangs and is abandoned, this returns kStorageFailed and the task may
  // still run.
  using Task = std::function<Status()>;
  Status call(Task task);

  void wake();         // there are head changes to write
  void flush_ended();  // a memtable was flushed
  void stop();         // drains, cuts, flushes; then run() returns
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  std::uint64_t running_us() const;  // of the present write; 0: none
  std::uint64_t waiting_us() const;  // of the present wait for a flush, that makes room; 0: none
  // For a writer that hangs: answers everything in flight and queued with kStorageFailed on this
  // thread. The shard must be fenced before. Whatever the writer does later is ignored.
  void abandon();

  std::size_t queued_bytes() const;
  const WriterCounters& counters() const { return counters_; }

  // --- from tasks
  // Writes `batch` as a round of its own, synced, which adds and removes so much in the open
  // generation. The shard is fenced when it fails.
  struct Delta {
    std::int64_t batches = 0;
    std::int64_t bytes = 0;
  };
  Status commit_task(RoundBatch& batch, Delta delta);
  Generation open_generation() const { return round_.generation; }
  void count_copied(std::uint64_t bytes) { counters_.copied_bytes += bytes; }

 private:
  using Waiting = std::vector<std::pair<WriteObserver*, std::uint64_t>>;

  void drain();
  bool take(std::vector<QueuedGroup>& groups,
            std::vector<std::shared_ptr<std::function<void()>>>& tasks);
  void poll_for_work();
  void write_round(std::vector<QueuedGroup>& groups);
  Status commit(RoundBatch& batch, bool sync);
  rocksdb::Status write(RoundBatch& batch, bool sync);
  Sealed sealed() const;
  void next_generation();
  void answer(bool written, std::vector<QueuedGroup>& groups);
  bool generation_full() const { return open_bytes_ >= options_.generation_bytes; }
  void wait_for_room();
  bool try_cut();
  void finish();

  Database& database_;
  LogTable& table_;
  Watermark& watermark_;
  ShardHealth& health_;
  const WriterOptions options_;
  WriterCounters counters_;

  mutable std::mutex queue_mutex_;
  std::condition_variable wake_;
  std::deque<QueuedGroup> queue_;
  std::vector<std::shared_ptr<std::function<void()>>> tasks_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  bool changes_noted_ = false;
  std::uint64_t flushes_ended_ = 0;
  std::atomic<bool> work_came_{false};  // since take(); written under the mutex

  std::mutex in_flight_mutex_;  // guards the two below: who answers
  Waiting in_flight_;
  bool abandoned_ = false;

  std::atomic<std::int64_t> running_since_us_{0};
  std::atomic<std::int64_t> waiting_since_us_{0};
  std::atomic<bool> stopped_{false};

  // The writer thread's own.
  bool small_round_ = false;  // the one just written
  Round round_;
  std::size_t open_bytes_ = 0;  // of the WAL that the open generation takes
  // That hold the open generation, and how long the last one is at least; 0: it is empty.
  FileNumber first_file_ = 0, last_file_ = 0;
  std::uint64_t last_file_bytes_ = 0;
  RoundBatch batch_;
};

}  // namespace andyx::storage
