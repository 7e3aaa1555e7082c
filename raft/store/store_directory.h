// The directory of a store: its lock, its format version and whose it is. One thread at a time.
//
//   LOCK  FORMAT  watermark  db/ (RocksDB)
//
// FORMAT is written last when a store is made: without it nothing was ever promised from there.
#pragma once

#include <memory>
#include <string>

#include "protocol/base/error.h"
#include "raft/store/raft_store.h"

namespace rocksdb {
class FileLock;
class FileSystem;
}  // namespace rocksdb

namespace andyx::raft {

inline constexpr int kStoreFormat = 1;

class StoreDirectory {
 public:
  ~StoreDirectory();

  // Makes the directory when it is missing and locks it. kBadArgument (another identity),
  // kDataDirLocked, kDataDirVersion (a newer format), kCorrupt, kIo.
  static Result<std::unique_ptr<StoreDirectory>> open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                      const StoreOptions& options);

  // False until mark_formatted(): what lies in it is left from an interrupted first open.
  bool formatted() const { return formatted_; }
  // Removes what such an open left. kCorrupt where it is more than that.
  Status clear();
  Status mark_formatted();
  Status sync();  // the names in it

  std::string database_path() const { return path_ + "/db"; }
  std::string watermark_path() const { return path_ + "/watermark"; }

 private:
  StoreDirectory(std::shared_ptr<rocksdb::FileSystem> fs, const StoreOptions& options);
  Status lock();
  Status read_format();
  bool exists(const std::string& path) const;

  const std::shared_ptr<rocksdb::FileSystem> fs_;
  const std::string path_;
  const StoreIdentity identity_;
  rocksdb::FileLock* lock_ = nullptr;
  bool formatted_ = false;
};

}  // namespace andyx::raft
