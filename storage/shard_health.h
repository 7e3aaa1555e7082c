// Whether a shard may still be used. Fenced once, it stays so until the process restarts: after a
// failed fsync nobody knows what the disk holds. Any thread; the callbacks run on the thread that
// fences.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "protocol/base/error.h"

namespace andyx::storage {

class ShardHealth {
 public:
  // The first call wins; calls the listeners. `why` says what failed, and where.
  void fence(const std::string& why);

  bool fenced() const { return fenced_.load(std::memory_order_acquire); }
  std::string reason() const;
  Status check() const;  // kStorageFailed once fenced

  void on_fence(std::function<void()> listener);

  void set_disk_full(bool full) { disk_full_.store(full, std::memory_order_relaxed); }
  bool disk_full() const { return disk_full_.load(std::memory_order_relaxed); }
  // Half of the reserve is gone too: nothing is written any more.
  void set_reserve_gone(bool gone) { reserve_gone_.store(gone, std::memory_order_relaxed); }
  bool reserve_gone() const { return reserve_gone_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> fenced_{false};
  std::atomic<bool> disk_full_{false};
  std::atomic<bool> reserve_gone_{false};
  mutable std::mutex mutex_;  // guards the two below
  std::string reason_;
  std::vector<std::function<void()>> listeners_;
};

}  // namespace andyx::storage
