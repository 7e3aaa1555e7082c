// Gives space back. Generations without live batches are dropped file by file; those with few are
// emptied first: their live batches are copied into the open generation, in bounded steps between
// other writes. Own thread, low in urgency; see STORAGE.md, "Space".
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "storage/database.h"
#include "storage/log_table.h"
#include "storage/shard_health.h"
#include "storage/shard_writer.h"

namespace andyx::storage {

class Reclaimer {
 public:
  Reclaimer(Database& database, LogTable& table, ShardHealth& health, ShardWriter& writer,
            std::size_t generation_bytes)
      : database_(database),
        table_(table),
        health_(health),
        writer_(writer),
        generation_bytes_(generation_bytes) {}

  void run();             // until stop()
  void stop();            // any thread
  void something_died();  // any thread: a start advanced, a log was dropped, a segment was kept
  void flush_ended();     // any thread

 private:
  // Generations that share files, so that their space only comes back together.
  struct Unit {
    Generation lowest = 0, highest = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t live_bytes = 0;
  };

  bool wait();  // false: stop
  Status pass();
  Result<std::vector<Unit>> measure();
  void add_segments(std::vector<Unit>& units);
  bool stopping();
  static bool is_live(const LogTable& table, const RunRow& row);
  Status empty(const Unit& unit);
  Status copy_run(const RunRow& row);
  Result<bool> copy_step(const RunRow& row, RunRow& rest);
  Status forget(const Unit& unit);
  Status delete_dead_files();
  Status delete_dead_segments();
  Status delete_segment(FileNumber file);
  bool rest();
  Status forget_dropped_logs();

  Database& database_;
  LogTable& table_;
  ShardHealth& health_;
  ShardWriter& writer_;
  const std::size_t generation_bytes_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool dirty_ = true;  // the first pass drops what the last process left
  bool flushed_ = false;
  std::uint64_t last_pass_ms_ = 0;  // of work
  std::uint64_t rested_ms_ = 0;     // within the pass
};

}  // namespace andyx::storage
