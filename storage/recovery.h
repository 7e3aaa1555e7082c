// What happens between RocksDB's own recovery and the first request: heads are loaded, what was
// written since the last cut is checked batch by batch, and all is held against the watermark. Runs
// on the opening thread, before the shard has any other. See STORAGE.md, "Recovery".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/database.h"
#include "storage/log_table.h"
#include "storage/rocksdb_shard.h"
#include "storage/watermark.h"

namespace andyx::storage {

class Recovery {
 public:
  // `mark`: nothing in a directory that is being formatted, or whose watermark is damaged.
  Recovery(Database& database, LogTable& table, std::optional<Mark> mark, bool accept_data_loss,
           RecoveryReport& report)
      : database_(database),
        table_(table),
        mark_(mark),
        accept_data_loss_(accept_data_loss),
        report_(report) {}

  // Notes a loss that was found before.
  void note_loss(std::string what) { losses_.push_back(std::move(what)); }

  // Fills the table and seals what was recovered; the next generation is open then. The round that
  // recovery itself wrote. kDataLoss, kCorrupt.
  Result<Round> run();

 private:
  struct Known {
    std::optional<Head> head;
    Offset start = 0;
  };
  struct Scanned {
    Head head;
    RunList runs;  // in the open generation
    bool gap = false;
  };

  Status load_heads();
  Status load_head_row(std::string_view key, std::string_view row);
  Status scan_open_generation();
  Status scan_batch(const BatchKey& key, const std::optional<Place>& place, ByteSpan bytes);
  Scanned& scanned(LogId log);
  void compare_with_mark();
  void check_sealed_files();
  Status judge_losses();
  Status settle_losses();
  Status settle_log(LogId log, Scanned& log_state, RunList& runs);
  void restore();
  Result<Round> seal();

  Database& database_;
  LogTable& table_;
  const std::optional<Mark> mark_;
  const bool accept_data_loss_;
  RecoveryReport& report_;

  Round round_;
  bool has_round_ = false;
  std::unordered_map<LogId, Known> known_;
  std::unordered_map<LogId, Generation> dropped_;
  std::map<Generation, Sealed> generations_;
  std::unordered_map<LogId, Scanned> scanned_;
  std::uint64_t batches_ = 0;  // in the open generation
  std::uint64_t bytes_ = 0;
  FileNumber first_file_ = 0, last_file_ = 0;  // that hold them; 0: none
  std::uint64_t last_file_bytes_ = 0;          // at least
  Generation highest_generation_ = 0;          // found, beyond the open one
  std::vector<BatchKey> cut_;                  // batches behind a gap
  std::vector<std::pair<LogId, Run>> cut_runs_;
  std::vector<std::string> losses_;
};

}  // namespace andyx::storage
