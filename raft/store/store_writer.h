// The one thread that writes to a store. It takes all writes that wait into one WriteBatch (a
// round), writes and syncs it to the WAL, and a copy or a mark of it to the watermark, then calls
// their `done`: group commit comes by itself.
//
// A small round is copied while the WAL is synced, and done when both are durable. A large one, or
// one with a snapshot, whose parts lie in the WAL only, is marked after the WAL's sync.
//
// A write that needs no sync is never written without one: its `done` is called in its turn, and it
// rides along with the next round that syncs, with the close, or with a round of its own when much
// has gathered. So all rounds are synced one after the other, and a power failure can tear the last
// one only: no hole can open in front of one that survived.
//
// run() is the thread; the rest comes from any thread unless it says otherwise.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "raft/store/raft_store.h"
#include "raft/store/round_copier.h"
#include "raft/store/store_database.h"
#include "raft/store/watermark.h"

namespace andyx::raft {

// One write as rows. In this order: rows of [remove_from, remove_to) go, the entries come.
struct StoreTask {
  StoreState state;  // after it; the round is the writer's to give
  Index remove_from = 0, remove_to = 0;
  Term previous_term = 0;  // of the entry before the first of `entries`
  std::vector<Entry> entries;
  SnapshotPtr snapshot;  // replaces the one before
  bool sync = true;
  RaftStore::Done done;  // may be empty
  std::uint64_t bytes = 0;
  std::uint64_t number = 0;  // ascending
  std::int64_t asked_ms = 0;
};

class StoreWriter {
 public:
  // `mark`: the last one; `snapshot`: of the stored one (meta.index 0: none).
  StoreWriter(StoreDatabase& database, Watermark& watermark, const Mark& mark,
              const SnapshotRow& snapshot);

  void run();   // until stop(), or a failure
  void stop();  // what is queued is written first

  void submit(StoreTask task);
  void on_failure(std::function<void(Error)> failed);
  void fail_with(Error error);  // from elsewhere: a background error, a failed read

  std::uint64_t stored() const { return stored_.load(std::memory_order_acquire); }
  std::uint64_t oldest_age_ms() const;
  std::uint64_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  std::uint64_t synced_bytes() const { return synced_bytes_.load(std::memory_order_relaxed); }

 private:
  enum class Turn : std::uint8_t { kWrite, kFailed, kStop };
  Turn take();
  void answer(std::size_t first);
  Status write_round();
  Status write_both(rocksdb::WriteBatch& batch, const Mark& mark, bool copied);
  Status write_snapshot_parts(const Snapshot& snapshot);
  void add(const StoreTask& task, rocksdb::WriteBatch& batch);
  void report_failure();

  StoreDatabase& database_;
  Watermark& watermark_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<StoreTask> queue_;
  std::int64_t in_flight_since_ms_ = 0;  // of the oldest in round_ that is not done; 0: none
  bool stopping_ = false;
  std::optional<Error> failure_;
  std::function<void(Error)> failed_;

  std::atomic<std::uint64_t> stored_{0};
  std::atomic<std::uint64_t> queued_bytes_{0};
  std::atomic<std::uint64_t> synced_bytes_{0};

  // The thread's own.
  Mark mark_;
  SnapshotRow snapshot_;
  RoundCopier copier_;
  std::vector<StoreTask> round_;  // the first ones are done: they ride along
  std::size_t riding_ = 0;
  std::uint64_t riding_bytes_ = 0;
};

}  // namespace andyx::raft
