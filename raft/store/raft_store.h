// The durable log, hard state and snapshots of one peer: a small RocksDB of its own, sync on every
// write that asks for it, on a helper thread.
//
// What it promises after a crash: everything whose `done` was called is there, or open() refuses.
// The position of the last sync is recorded with the sync round, so that a damaged synced tail
// (kDataLoss: refused) is told from a torn unsynced one (cut off, silently).
//
// Threads: open() and the destructor: any one. Writes and LogStorage's reads: the core's thread;
// reads answer with what `done` has been called for, or newer. `done` runs on the store's thread,
// in order of the writes; it must not block and must not call the store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "raft/core/log_storage.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace andyx::raft {

// Who this store belongs to. A store that says otherwise is not opened (kBadArgument names both).
struct StoreIdentity {
  std::string cluster_id;
  PeerId peer = kNone;
  std::string disk_id;  // of the data directory: a new disk is a new peer
};

struct StoreOptions {
  std::string path;  // directory; made when missing
  StoreIdentity identity;
  bool fsync = true;                             // off: for tests and for those who say so
  std::uint64_t cache_bytes = 32ull << 20;       // of newest entries kept in memory
  std::uint64_t max_queued_bytes = 64ull << 20;  // queue() over it: back-pressure, see below
};

struct StoreWrite {
  std::optional<HardState> hard;
  std::vector<Entry> entries;  // overwrite what stands from entries[0].index on
  // Received from the leader: replaces log and snapshot at once, and `entries` continue it. One
  // that is not newer than the present snapshot is left out.
  SnapshotPtr snapshot;
  bool sync = true;  // must be durable before `done`; else it rides along with a later one
};

class RaftStore : public LogStorage {
 public:
  // Blocks. kDataDirLocked, kDataDirVersion, kBadArgument (identity), kCorrupt, kDataLoss,
  // kDiskFull, kIo: each message says what to do. A store that never finished its first open is
  // made anew. `fs`: for tests.
  static Result<std::unique_ptr<RaftStore>> open(const StoreOptions& options,
                                                 std::shared_ptr<rocksdb::FileSystem> fs = nullptr);
  // Finishes what is queued; waits for a disk that hangs.
  ~RaftStore() override = default;

  // Never blocks. Several writes may share one sync.
  using Done = std::move_only_function<void()>;
  virtual void write(StoreWrite write, Done done) = 0;
  // The state machine as of `snapshot->meta.index`, which was applied here; the log stays. One that
  // is not newer than the present snapshot is left out. The newest one is kept in memory too.
  virtual void save_snapshot(SnapshotPtr snapshot, Done done) = 0;
  // Forgets entries up to `index`, for which a saved snapshot exists; else nothing.
  virtual void compact(Index index) = 0;

  // After a failed write or sync, or an old entry that cannot be read (entries() answers
  // kUnavailable then), nothing is written any more and no `done` is called again: the peer must
  // stop. Called once, on the store's thread. Set before the first write.
  virtual void on_failure(std::function<void(Error)> failed) = 0;

  // Any thread. Age of the oldest write that was asked for and is not done, on the monotonic clock;
  // 0 when there is none. A hung disk shows here.
  virtual std::uint64_t oldest_write_age_ms() const = 0;
  virtual std::uint64_t queued_bytes() const = 0;  // over max_queued_bytes: propose nothing more
  virtual std::uint64_t synced_bytes() const = 0;  // since open, for status
};

}  // namespace andyx::raft
