// The RocksDB under a shard: opening it with our options, its column families, and reading batches
// and rows from it. Owns the RocksDB; everything here may be called from any thread, writes from
// the writer thread only. Holds no state of the shard.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "storage/keys.h"
#include "storage/segments.h"

namespace andyx::storage {

enum class Family : std::uint8_t { kLog, kIndex, kHead, kMeta, kCursor };
inline constexpr std::size_t kFamilies = 5;

struct DatabaseOptions {
  std::string path;
  std::string segments_path;  // see Segments
  bool create = false;
  bool skip_damaged = false;  // salvage: read past damaged places of a WAL
  std::size_t generation_bytes = 0;
};

struct DatabaseEvents {
  std::function<void(const std::string& why)> failed;  // a background error; any thread
  std::function<void()> flushed;                       // a flush ended; a RocksDB thread
  std::function<void()> segment_kept;                  // see Segments; a RocksDB thread
};

class Database {
 public:
  static Result<std::unique_ptr<Database>> open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                const DatabaseOptions& options,
                                                DatabaseEvents events);
  ~Database();

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return families_[static_cast<std::size_t>(family)];
  }
  rocksdb::ColumnFamilyHandle* family(Table table) const {
    return family(table == Table::kMeta ? Family::kMeta : Family::kCursor);
  }

  // Starts a flush of all families; false: RocksDB asks to try again later.
  Result<bool> start_flush_of_all();
  Status flush_all();                   // and waits
  std::uint32_t unflushed_memtables();  // sealed, of the family that has most

  // Calls `visit` with each batch of `run` from the one that holds `from` on, until it answers
  // false. Each is checked (checksum, contiguity) before. kCorrupt when one is damaged or missing.
  using BatchVisit = std::function<bool(const BatchKey& key, const SharedBytes& batch)>;
  Status visit_run(LogId log, const Run& run, Offset from, std::size_t read_ahead_bytes,
                   const BatchVisit& visit);
  // Calls `visit` with every batch from the first of `generation` on, in the order of the keys,
  // until it says false. Nothing is checked. `place`: none where it lies in its row. kCorrupt.
  using AnyBatchVisit = std::function<bool(std::string_view key, const std::optional<Place>& place,
                                           const SharedBytes& batch)>;
  Status visit_batches_from(Generation generation, const AnyBatchVisit& visit);

  Result<std::optional<std::string>> get(Table table, std::string_view key) const;

  // Calls `visit` with each row of `family` whose key starts with `prefix`, in order, until it
  // answers false.
  using RowVisit = std::function<bool(std::string_view key, std::string_view row)>;
  Status visit_rows(Family family, std::string_view prefix, const RowVisit& visit) const;
  // The same from `first` on.
  Status visit_rows_from(Family family, std::string_view first, const RowVisit& visit) const;

  // Log files as [lowest, highest] generation with their bytes.
  struct LogFile {
    Generation lowest = 0, highest = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<LogFile> log_files();
  Segments& segments() { return *segments_; }
  // Deletes the log files that lie in [lowest, highest] as a whole.
  Status delete_log_files(Generation lowest, Generation highest);
  std::uint64_t disk_bytes();

  // Stops background work and closes; RocksDB's own error when it has one.
  Status close();

 private:
  Database() = default;

  std::shared_ptr<Segments> segments_;
  std::unique_ptr<rocksdb::Env> env_;  // outlives db_
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

}  // namespace andyx::storage
