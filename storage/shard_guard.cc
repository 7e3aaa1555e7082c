#include "storage/shard_guard.h"

#include <algorithm>
#include <chrono>

namespace andyx::storage {
namespace {

constexpr std::uint64_t kMarkSyncMs = 100;
constexpr std::uint64_t kFreeSpaceMs = 200;
constexpr std::uint64_t kMostWatchMs = 100;
constexpr std::uint64_t kFlushPatience = 6;  // a whole generation takes longer than a sync

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

bool ShardGuard::pause(std::uint64_t ms) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
}

void ShardGuard::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
}

void ShardGuard::run_watch() {
  const std::uint64_t step_ms =
      std::clamp<std::uint64_t>(options_.hung_sync_ms / 4, 1, kMostWatchMs);
  const std::uint64_t limit_us = options_.hung_sync_ms * 1000;
  while (pause(step_ms)) {
    if (writer_.running_us() > limit_us) {
      health_.fence("a write to the disk has been hanging for more than " +
                    std::to_string(options_.hung_sync_ms) + " ms");
      writer_.abandon();
    }
    if (writer_.waiting_us() > kFlushPatience * limit_us) {
      health_.fence("a flush has been hanging for more than " +
                    std::to_string(kFlushPatience * options_.hung_sync_ms) + " ms");
    }
    const std::int64_t since = mark_sync_since_us_.load(std::memory_order_acquire);
    if (since != 0 && now_us() - since > static_cast<std::int64_t>(limit_us)) {
      health_.fence("a sync of the watermark has been hanging for more than " +
                    std::to_string(options_.hung_sync_ms) + " ms");
    }
  }
}

void ShardGuard::run_sync() {
  std::uint64_t since_free_space_ms = 0;
  while (pause(kMarkSyncMs)) {
    since_free_space_ms += kMarkSyncMs;
    if (since_free_space_ms >= kFreeSpaceMs) {
      check_free_space();
      since_free_space_ms = 0;
    }
    if (!options_.fsync || health_.fenced()) continue;
    mark_sync_since_us_.store(now_us(), std::memory_order_release);
    const Status synced = watermark_.sync();
    mark_sync_since_us_.store(0, std::memory_order_release);
    if (!synced) health_.fence(synced.error().message);
  }
}

void ShardGuard::check_free_space() {
  const auto free = directory_.free_bytes();
  if (!free) return;  // unknown: a full disk then shows as a failed write
  free_bytes_.store(*free, std::memory_order_relaxed);
  health_.set_disk_full(*free < options_.min_free_bytes);
  health_.set_reserve_gone(*free < options_.min_free_bytes / 2);
}

}  // namespace andyx::storage
