// What goes on beside the writer: a watch on writes that hang, the watermark's syncs, and the free
// space of the disk. Two threads, so that a hung sync of the watermark does not keep the watch from
// seeing it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "storage/data_directory.h"
#include "storage/shard_health.h"
#include "storage/shard_writer.h"
#include "storage/watermark.h"

namespace andyx::storage {

struct GuardOptions {
  std::uint64_t hung_sync_ms = 0;
  std::uint64_t min_free_bytes = 0;
  bool fsync = true;
};

class ShardGuard {
 public:
  ShardGuard(DataDirectory& directory, Watermark& watermark, ShardHealth& health,
             ShardWriter& writer, const GuardOptions& options)
      : directory_(directory),
        watermark_(watermark),
        health_(health),
        writer_(writer),
        options_(options) {}

  void run_watch();  // a thread; until stop()
  void run_sync();   // a thread; until stop()
  void stop();       // any thread

  void check_free_space();  // once before the threads start, then by run_sync
  std::uint64_t free_bytes() const { return free_bytes_.load(std::memory_order_relaxed); }

 private:
  bool pause(std::uint64_t ms);  // false: stop

  DataDirectory& directory_;
  Watermark& watermark_;
  ShardHealth& health_;
  ShardWriter& writer_;
  const GuardOptions options_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::atomic<std::uint64_t> free_bytes_{0};
  std::atomic<std::int64_t> mark_sync_since_us_{0};
};

}  // namespace andyx::storage
