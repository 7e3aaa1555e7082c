// The state as of the last synced round, kept outside of RocksDB's WAL. RocksDB's recovery stops at
// a damaged page of the WAL, calls it the end and opens; only something beside it can tell that
// more was there.
//
// A file of two slots, a page each, written in turn: a torn write leaves the other. It is made with
// its full size, so that its sync touches no metadata of the file.
//
// Why after the WAL's sync and not beside it, which would be faster: a mark that can be durable
// before its round makes an ordinary power failure look like damage; a mark that may lag behind
// `done` makes damage look like an ordinary power failure, and a vote may be given twice. Figures:
// ARCHITECTURE.md.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "protocol/base/error.h"
#include "raft/store/rows.h"

namespace rocksdb {
class FileSystem;
class FSRandomRWFile;
}  // namespace rocksdb

namespace andyx::raft {

struct Mark {
  StoreState state;
  bool fsync = true;  // whether the round was synced
};

class Watermark {
 public:
  ~Watermark();

  // A file without a mark; synced, its name not.
  static Status create(rocksdb::FileSystem& fs, const std::string& path);
  static Result<std::unique_ptr<Watermark>> open(rocksdb::FileSystem& fs, const std::string& path);

  // The newest whole mark; round 0: none was ever written. kCorrupt when neither slot is whole.
  Result<Mark> load();
  Status publish(const Mark& mark, bool sync);  // into the older slot; durable if `sync`

 private:
  Watermark(std::unique_ptr<rocksdb::FSRandomRWFile> file, std::string path);

  std::unique_ptr<rocksdb::FSRandomRWFile> file_;
  const std::string path_;
  std::uint64_t next_slot_ = 0;
};

}  // namespace andyx::raft
