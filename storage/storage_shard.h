// The storage contract: logs (of whole record batches) and small state, in one shard that syncs as
// one. Two implementations: RocksDB (open_rocksdb_shard) and memory (open_memory_shard), one
// conformance test.
//
// Threads: every call may come from any thread; the groups of one log must come from one thread at
// a time, in order. WriteObserver is called on the shard's writer thread. Nothing here waits for
// the disk except reads, sync_now and close.
//
// Logs are named by a 32-bit LogId that the caller chooses; a log exists from its first append
// until it is dropped. Offsets in a log have no gaps. The shard knows record batch headers
// (offsets, append times, checksum) and nothing of their records; it knows nothing of partitions or
// subscriptions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"

namespace andyx::storage {

using LogId = std::uint32_t;

struct LogAppend {
  LogId log = 0;
  SharedBytes
      batch;  // one whole record batch, server fields patched: base_offset == end of the log
};

enum class Table : std::uint8_t { kMeta = 0, kCursor = 1 };

struct StatePut {
  Table table = Table::kMeta;
  std::string key;
  std::optional<std::string> value;  // nothing: delete
};

// All of a group becomes durable together, or none of it does.
struct WriteGroup {
  std::vector<LogAppend> appends;
  std::vector<StatePut> puts;
  std::uint64_t token = 0;  // the caller's; comes back in WriteResult
  // Small writes that answer consumers or free space: taken while the disk is nearly full, until
  // half of the reserve is gone too. Groups without appends always count as such.
  bool may_use_reserve = false;
};

struct WriteResult {
  std::uint64_t token = 0;
  ErrorCode error =
      ErrorCode::kOk;  // kOk: durable. kDiskFull: not written. kStorageFailed: maybe written.
};

class WriteObserver {
 public:
  virtual ~WriteObserver() = default;
  // In the order of submission for each observer; on the writer thread (on a watching one where the
  // writer hangs in the kernel: the shard is fenced then); must not block.
  virtual void on_written(std::vector<WriteResult> results) = 0;
};

struct LogState {
  Offset start_offset = 0;  // the first that may be read
  Offset end_offset = 0;    // one past the last durable
  MainEpoch last_epoch = 0;
  TimeUs last_append_time_us = 0;
  std::uint64_t bytes = 0;  // live, estimate
};

struct CutTail {  // what a truncation cut, saved aside
  LogId log = 0;
  Offset from = 0, to = 0;  // [from, to)
  std::uint64_t bytes = 0;
  std::string saved_as;  // a file in the data directory's `cut/`
};

struct ShardStatus {
  std::string state;  // "serving", "disk full", "failed: …"
  ErrorCode error = ErrorCode::kOk;
  bool fsync = true;
  std::uint32_t generation = 0;
  std::uint32_t unflushed_generations = 0;
  std::uint64_t written_bytes = 0;  // of batches, since open
  std::uint64_t reads = 0;          // calls that looked for data or state, since open
  std::uint64_t copied_bytes = 0;   // moved out of mostly dead generations, since open
  std::uint64_t disk_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t last_sync_us = 0;
  std::uint64_t sync_running_us = 0;  // how long the present write+sync has been under way; 0: none
  std::uint64_t queued_bytes = 0;
  bool crc32c_hardware = false;
  std::uint64_t crc32c_calls = 0;
};

class StorageShard {
 public:
  virtual ~StorageShard() = default;

  // Queues a group. kOverloaded when the queue is over its bound, kDiskFull / kStorageFailed while
  // that lasts: nothing was written then and the observer is not called. The observer must outlive
  // its results.
  virtual Status submit(WriteGroup group, WriteObserver& observer) = 0;

  // Batches from the one that holds `from` on, until max_bytes (at least one where there is one),
  // durable ones only. Empty at the end of the log. kOffsetOutOfRange (before start or after end),
  // kCorrupt: a batch whose checksum or contiguity fails is never returned. Blocks on the disk: not
  // on a loop.
  virtual Result<std::vector<SharedBytes>> read(LogId log, Offset from, std::size_t max_bytes) = 0;

  // Offset of the first batch whose append time is >= time_us (its base offset; end_offset when
  // none). Blocks.
  virtual Result<Offset> find_time(LogId log, TimeUs time_us) = 0;

  // Retention by size: what has to go so that at most max_bytes are left. Exact. Blocks.
  struct Sized {
    Offset from = 0;          // a batch boundary, or the start; never past the newest batch
    std::uint64_t bytes = 0;  // of the batches from there to the end
  };
  virtual Result<Sized> find_size(LogId log, std::uint64_t max_bytes) = 0;
  // Bytes of the batches from `from` to the end; within a stretch of 4 MiB an estimate.
  // kOffsetOutOfRange (before start or after end). Blocks.
  virtual Result<std::uint64_t> bytes_from(LogId log, Offset from) = 0;

  virtual std::optional<LogState> log_state(LogId log) const = 0;  // nothing: no such log
  virtual std::vector<LogId> logs() const = 0;

  // Advances the start (retention, trimming); never back. Durable soon; readers see it at once.
  // Space comes back in whole generations. kOffsetOutOfRange past the end.
  virtual Status advance_start(LogId log, Offset new_start) = 0;
  // Removes a log and all its space, in time. Its id may not be used again.
  virtual Status drop_log(LogId log) = 0;
  // Cuts everything from `from` on (a batch boundary, or the start of the log), durable when it
  // returns. Only while nothing
  // of this log is in flight. The cut tail is saved aside first. Blocks.
  virtual Result<CutTail> truncate(LogId log, Offset from) = 0;
  // Throws away every batch of the log, which begins anew, empty, at `start`: with the next append.
  // `puts` go with it, all or nothing; durable when it returns. Nothing is saved aside. Only while
  // nothing of this log is in flight. Blocks.
  virtual Status reset_log(LogId log, Offset start, std::vector<StatePut> puts) = 0;

  // Small state, as of the last durable group.
  virtual Result<std::optional<std::string>> get(Table table, std::string_view key) const = 0;
  // Keys that start with `prefix`, in order, until `visit` answers false.
  virtual Status scan(
      Table table, std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;

  // The same from the key `first` on, which starts with `prefix` or lies before all that do.
  virtual Status scan_from(
      Table table, std::string_view prefix, std::string_view first,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;

  virtual ShardStatus status() const = 0;

  // Drains the queue, syncs, marks a clean stop, closes. Idempotent; submit fails afterwards.
  virtual Status close() = 0;
};

struct ShardOptions {
  std::string directory;
  bool fsync = true;
  bool accept_data_loss = false;     // open although less was recovered than was acknowledged
  std::size_t generation_bytes = 0;  // 0: limits::kGenerationBytes
  std::size_t queue_bytes = 0;       // 0: limits::kStorageQueueBytes
  std::uint64_t min_free_bytes =
      0;  // appends are refused under this; 0: a default (512 MiB or 2 generations)
  // For so long the writer looks for more after a small round, before it sleeps; see
  // net::Loop::stay_awake.
  std::uint32_t busy_poll_us = 0;
  std::uint64_t hung_sync_ms = 10'000;  // a write or sync under way for longer fences the shard
};

std::unique_ptr<StorageShard> open_memory_shard(const ShardOptions& options);

}  // namespace andyx::storage
