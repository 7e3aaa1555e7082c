// Cuts the end of a log after a change of main. The cut tail is first saved in the directory's
// cut/; then rows, head and the batches of the open generation change in one WriteBatch. Batches in
// sealed generations are left without a row, as dead bytes: a point delete there would make RocksDB
// rewrite the files between. Caller's thread, with nothing of the log in flight; blocks.
#pragma once

#include <optional>
#include <vector>

#include "storage/data_directory.h"
#include "storage/log_reader.h"
#include "storage/shard_writer.h"

namespace andyx::storage {

class Truncation {
 public:
  Truncation(DataDirectory& directory, Database& database, LogTable& table, ShardWriter& writer)
      : directory_(directory), database_(database), table_(table), writer_(writer) {}

  Result<CutTail> truncate(LogId log, Offset from);
  // StorageShard::reset_log.
  Status reset(LogId log, Offset start, std::vector<StatePut> puts);

 private:
  struct Plan {
    CutTail cut;
    std::uint64_t version = 0;           // of the layout that this was made from
    Head head;                           // afterwards
    std::optional<Run> new_last;         // what is left of the run that the cut goes through
    RunList removed;                     // runs that start at the cut or behind it
    std::vector<BatchKey> open_batches;  // of the open generation, to delete
    std::uint64_t open_bytes = 0;
  };

  Result<Plan> plan(LogId log, Offset from);
  Result<Plan> plan_reset(LogId log, Offset start);
  Status collect_run(const Run& run, Offset from, Plan& plan, CutFile& file);

  DataDirectory& directory_;
  Database& database_;
  LogTable& table_;
  ShardWriter& writer_;
};

}  // namespace andyx::storage
