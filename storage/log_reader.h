// Reads batches of a log: finds the runs that hold them, and checks that nothing is missing in
// between. Any thread; blocks on the disk.
#pragma once

#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "storage/database.h"
#include "storage/log_table.h"

namespace andyx::storage {

class LogReader {
 public:
  LogReader(Database& database, LogTable& table) : database_(database), table_(table) {}

  Result<std::vector<SharedBytes>> read(LogId log, Offset from, std::size_t max_bytes);
  Result<Offset> find_time(LogId log, TimeUs time_us);
  Result<StorageShard::Sized> find_size(LogId log, std::uint64_t max_bytes);
  Result<std::uint64_t> bytes_from(LogId log, Offset from);

  // The loaded layout from `from` on, checked to be without gaps up to the end. kOffsetOutOfRange,
  // kCorrupt.
  Result<LogLayout> layout(LogId log, Offset from);
  // By all rows that there are: also those below the log's start, and those of the open generation,
  // where a truncation, or a cut whose flush was put off, has written some.
  Result<RunList> all_rows(LogId log);

 private:
  Result<LogLayout> loaded_layout(LogId log, Offset from);
  Result<RunList> load_runs(LogId log, const std::vector<Generation>& generations);
  Result<std::vector<SharedBytes>> read_once(LogId log, Offset from, std::size_t max_bytes,
                                             std::uint64_t& version);
  Result<Offset> find_time_once(LogId log, TimeUs time_us, std::uint64_t& version);
  Result<StorageShard::Sized> find_size_once(LogId log, std::uint64_t max_bytes,
                                             std::uint64_t& version);
  // Calls look(version) again while what it answers may come from a move of the batches, or of the
  // start, meanwhile.
  template <typename Look>
  std::invoke_result_t<Look, std::uint64_t&> look_at(LogId log, Look&& look);
  // Whether the layout is another one by now: what was not found may have moved.
  bool moved_since(LogId log, std::uint64_t version) const;

  Database& database_;
  LogTable& table_;
};

}  // namespace andyx::storage
