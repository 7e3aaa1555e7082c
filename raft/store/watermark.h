// The newest round of a store, kept outside of RocksDB's WAL: the state as of it and, where it is
// small, a whole second copy. RocksDB's recovery stops at a damaged page of the WAL, calls it the
// end and opens; only something beside it can tell that more was there.
//
// A file of two slots, written in turn: a torn write leaves the other. It is made with its full
// size, so that its sync touches no metadata of the file.
//
// A mark without a copy must follow the WAL's sync: durable before its round, it would make an
// ordinary power failure look like damage; lagging behind `done`, it would make damage look like an
// ordinary power failure, and a vote may be given twice. With a copy it may be synced beside the
// WAL: whichever is durable first holds the round. ARCHITECTURE.md has the argument.
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

struct MarkedRound {
  Mark mark;
  std::string copy;  // of the round's WriteBatch; empty: none was kept
};

class Watermark {
 public:
  ~Watermark();

  static bool takes(std::size_t copy_bytes);  // fits a slot

  // A file without a mark; synced, its name not.
  static Status create(rocksdb::FileSystem& fs, const std::string& path);
  static Result<std::unique_ptr<Watermark>> open(rocksdb::FileSystem& fs, const std::string& path);

  // The newest whole one; round 0: none was ever written. kCorrupt when neither slot is whole.
  Result<MarkedRound> load();
  // Into the older slot; durable if `sync`.
  Status publish(const MarkedRound& round, bool sync);

 private:
  Watermark(std::unique_ptr<rocksdb::FSRandomRWFile> file, std::string path);

  std::unique_ptr<rocksdb::FSRandomRWFile> file_;
  const std::string path_;
  std::uint64_t next_slot_ = 0;
};

}  // namespace andyx::raft
