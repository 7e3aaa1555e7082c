// The store's twin in memory, with a disk that can be slow, hang or fail. A MemoryDisk outlives the
// stores that are opened on it: what was written (done was called) is there after a restart, what
// was queued is lost.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "raft/core/memory_log_storage.h"
#include "raft/store/raft_store.h"

namespace andyx::raft {

class MemoryDisk {
 public:
  void hang(bool on) {
    set([&] { hangs_ = on; });
  }
  void fail() {
    set([&] { fails_ = true; });
  }
  void set_delay(std::chrono::microseconds delay) {
    set([&] { delay_ = delay; });
  }
  std::uint64_t synced_writes() {
    std::lock_guard lock(mutex_);
    return synced_writes_;
  }
  Index first_index() {
    std::lock_guard lock(mutex_);
    return log_.first_index();
  }

 private:
  friend class MemoryRaftStore;
  template <typename Change>
  void set(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  MemoryLogStorage log_;
  std::uint64_t synced_writes_ = 0;
  bool hangs_ = false, fails_ = false;
  std::chrono::microseconds delay_{0};
};

class MemoryRaftStore final : public RaftStore {
 public:
  explicit MemoryRaftStore(std::shared_ptr<MemoryDisk> disk);
  ~MemoryRaftStore() override;

  InitialState initial_state() const override;
  Index first_index() const override;
  Index last_index() const override;
  std::expected<Term, LogFault> term(Index index) const override;
  std::expected<std::vector<Entry>, LogFault> entries(Index low, Index high,
                                                      std::uint64_t max_bytes) const override;
  std::expected<SnapshotPtr, LogFault> snapshot() const override;

  void write(StoreWrite write, Done done) override;
  void save_snapshot(SnapshotPtr snapshot, Done done) override;
  void compact(Index index) override;
  void on_failure(std::function<void(Error)> failed) override;
  std::uint64_t oldest_write_age_ms() const override;
  std::uint64_t queued_bytes() const override;
  std::uint64_t synced_bytes() const override { return 0; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Work {
    std::move_only_function<void(MemoryLogStorage&)> apply;
    Done done;
    std::uint64_t bytes = 0;
    bool sync = false;
    Clock::time_point since = Clock::now();
  };
  void push(Work work);
  void run();

  const std::shared_ptr<MemoryDisk> disk_;
  std::deque<Work> queue_;  // under the disk's mutex, as all that follows; [0] may be under way
  std::uint64_t queued_bytes_ = 0;
  bool stopping_ = false;
  std::function<void(Error)> failed_;
  std::thread thread_;
};

}  // namespace andyx::raft
