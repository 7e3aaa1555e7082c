// The WAL files of a shard's RocksDB, which are where batches lie. A batch is written once: into
// the WAL, as data that RocksDB carries along and does not look at; its row says where (Place).
// When RocksDB deletes a WAL file, it is moved to a directory beside it, and stays until nothing in
// it is needed any more. This is the file system that RocksDB is given, over the real one; and the
// reader of what lies there.
//
// Any thread, except what is marked.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "storage/keys.h"

namespace andyx::storage {

class Segments final : public rocksdb::FileSystemWrapper {
 public:
  // `database`: RocksDB's directory. `kept`: where files go that it is done with; made when
  // missing. `on_kept`: a file has gone there; the thread of RocksDB that deleted it.
  static Result<std::shared_ptr<Segments>> open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                std::string database, std::string kept,
                                                std::function<void()> on_kept);

  // The newest WAL file, and how much is in it.
  struct Tail {
    FileNumber file = 0;
    std::uint64_t bytes = 0;

    bool operator==(const Tail&) const = default;
  };
  Tail tail() const;

  // The batch at `place`. kCorrupt: the file is missing or too short. kIo.
  Result<SharedBytes> read(const Place& place);
  // Tells the kernel that so much is going to be read from `place` on.
  void read_ahead(const Place& place, std::size_t bytes);

  // --- space
  bool has(FileNumber file, std::uint64_t bytes) const;  // at least so long
  std::uint64_t bytes() const;                           // of all of them
  std::map<FileNumber, std::uint64_t> kept() const;      // those that RocksDB is done with
  // Frees up to `bytes` at the end of one of those, which nobody needs any more. True: it is gone.
  Result<bool> remove_some(FileNumber file, std::uint64_t bytes);
  // Writer thread: batches of the open generation lie in the files from `file` on; 0: it has none.
  void open_generation_begins_in(FileNumber file) { open_from_ = file; }
  // Files below may be removed where no sealed generation needs them. Ask before asking which
  // generations are sealed: one that is sealed meanwhile counts as open then.
  FileNumber settled_below() const;

  // --- rocksdb::FileSystem
  const char* Name() const override { return "andyx-segments"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  struct File {
    std::uint64_t bytes = 0;
    bool kept = false;
    std::shared_ptr<rocksdb::FSRandomAccessFile> reader;
  };

  Segments(std::shared_ptr<rocksdb::FileSystem> fs, std::string database, std::string kept,
           std::function<void()> on_kept);

  void appended(FileNumber file, std::uint64_t bytes);
  Status list(const std::string& directory, bool kept);
  Status sync_all();
  void close_reader(File& file);  // one who reads from it keeps it open; with the mutex
  rocksdb::IOStatus shrink(const std::string& path, std::uint64_t bytes);
  FileNumber wal_number(const std::string& path) const;  // 0: it is none
  std::string kept_path(FileNumber file) const;
  Result<std::shared_ptr<rocksdb::FSRandomAccessFile>> reader(FileNumber file);

  const std::string database_, kept_;
  const std::function<void()> on_kept_;
  std::atomic<FileNumber> open_from_{0};
  mutable std::mutex mutex_;
  std::map<FileNumber, File> files_;
  std::size_t readers_ = 0;
};

}  // namespace andyx::storage
