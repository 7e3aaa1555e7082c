// The RocksDB of a store: opened with our options, written and read. Holds no state of the store.
// Any thread; writes from one thread at a time.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "protocol/base/error.h"
#include "raft/core/types.h"
#include "raft/store/rows.h"

namespace andyx::raft {

class StoreDatabase {
 public:
  // `failed`: a background error; any thread, once or more.
  using Failed = std::function<void(const rocksdb::Status& why)>;
  static Result<std::unique_ptr<StoreDatabase>> open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                     const std::string& path, bool create,
                                                     Failed failed);
  ~StoreDatabase();

  Status write(rocksdb::WriteBatch& batch, bool sync);
  Result<std::optional<std::string>> get(const std::string& key) const;

  // Each row from `first` on whose key starts with its first byte, in order, until `visit` answers
  // false.
  using Visit = std::function<bool(std::string_view key, std::string_view row)>;
  Status visit(const std::string& first, const Visit& visit) const;

  // Entries from `low` up to `high` (exclusive), each checked; until `visit` answers false.
  // kDataLoss (a missing one), kCorrupt.
  using VisitEntry = std::function<bool(DecodedEntry entry)>;
  Status visit_entries(Index low, Index high, const VisitEntry& visit) const;

 private:
  StoreDatabase() = default;

  std::unique_ptr<rocksdb::Env> env_;  // outlives db_
  std::unique_ptr<rocksdb::DB> db_;
  std::string path_;
};

}  // namespace andyx::raft
