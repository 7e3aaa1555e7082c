// The directory of a shard: its lock, its format version, the names of what lies in it, and small
// files written whole. Everything goes through the given file system. One thread at a time.
//
//   LOCK  FORMAT  watermark  cut/  db/ (RocksDB)
#pragma once

#include <memory>
#include <string>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"

namespace rocksdb {
class FSWritableFile;
class FileLock;
class FileSystem;
}  // namespace rocksdb

namespace andyx::storage {

// 2: the server's metadata is in raft/, no more in a log of the shard, which older programs would
// begin anew. 3: batches lie in segments, no more in the rows of the log family. A directory of an
// older version becomes one of this version when it is opened.
inline constexpr int kFormatVersion = 3;

class DataDirectory;

// A file for the cut tail of a log, written piece by piece. It stays only after finish().
class CutFile {
 public:
  ~CutFile();
  Status append(ByteSpan bytes);
  Status finish();  // synced, and its name too

 private:
  friend class DataDirectory;
  CutFile(DataDirectory& directory, std::string path,
          std::unique_ptr<rocksdb::FSWritableFile> file);

  DataDirectory& directory_;
  std::string path_;
  std::unique_ptr<rocksdb::FSWritableFile> file_;
  bool finished_ = false;
};

class DataDirectory {
 public:
  ~DataDirectory() { unlock(); }

  // Creates the directory when it is missing and locks it: kDataDirLocked. Reads FORMAT:
  // kDataDirVersion for a newer one, kCorrupt for a damaged one.
  static Result<std::unique_ptr<DataDirectory>> open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                     const std::string& path);

  // False until mark_formatted(): whatever lies in it then is left from an interrupted first start.
  bool formatted() const { return formatted_; }
  Status mark_formatted();

  const std::string& path() const { return path_; }
  std::string database_path() const { return path_ + "/db"; }
  std::string segments_path() const { return path_ + "/segments"; }
  std::string watermark_path() const { return path_ + "/watermark"; }

  void unlock();  // another may open it then

  Status sync();  // the names in it
  // A new file in cut/, which is created when it is missing.
  Result<std::unique_ptr<CutFile>> create_cut_file(const std::string& name);
  void remove_cut_file(const std::string& name);  // of a cut that did not come to pass
  Result<std::uint64_t> free_bytes() const;

 private:
  friend class CutFile;
  DataDirectory(std::shared_ptr<rocksdb::FileSystem> fs, std::string path);
  Status read_format();
  Status write_file(const std::string& path, const std::string& bytes);
  Status sync_directory(const std::string& path);

  std::shared_ptr<rocksdb::FileSystem> fs_;
  std::string path_;
  rocksdb::FileLock* lock_ = nullptr;
  bool formatted_ = false;
};

}  // namespace andyx::storage
