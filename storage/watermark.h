// The durable watermark: how far writes have been synced, kept outside of RocksDB's WAL. RocksDB's
// recovery stops at a damaged page and calls it the end; only something beside the WAL can tell
// that more was there.
//
// A file of two slots, one sector each, written in turn, so that a torn write leaves the other. A
// mark is written after the WAL's sync and before the results are published: it is never ahead of
// the WAL, and after kill -9 never behind an acknowledgement. It is synced at least every 100 ms by
// another thread, so a power failure may leave it that much behind.
//
// publish() belongs to the writer thread; sync() to any one other thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "protocol/base/error.h"
#include "storage/keys.h"

namespace rocksdb {
class FileSystem;
class FSRandomRWFile;
}  // namespace rocksdb

namespace andyx::storage {

struct Mark {
  Round round;
  bool clean_stop = false;
  bool fsync = true;
};

struct MarkFound {
  Mark mark;
  bool one_slot_damaged = false;
};

class Watermark {
 public:
  ~Watermark();

  // The newer whole slot. kCorrupt when neither is whole, or the file is missing.
  static Result<MarkFound> load(rocksdb::FileSystem& fs, const std::string& path);

  // Creates the file when it is missing (the caller syncs the directory); keeps what it holds.
  static Result<std::unique_ptr<Watermark>> open(rocksdb::FileSystem& fs, const std::string& path);

  Status publish(const Mark& mark);
  Status sync();  // what was published before the call; nothing when that is synced already

 private:
  explicit Watermark(std::unique_ptr<rocksdb::FSRandomRWFile> file);

  std::unique_ptr<rocksdb::FSRandomRWFile> file_;
  std::uint64_t next_slot_ = 0;
  std::atomic<bool> dirty_{false};
  std::mutex sync_mutex_;
};

}  // namespace andyx::storage
