// When to take a snapshot, and how far the log may be forgotten behind it. Pure.
#pragma once

#include <cstdint>

#include "raft/core/types.h"

namespace andyx::raft {

// After every `every_bytes` of applied entries; the younger half of them stays in the log, for
// followers that are only a little behind.
class SnapshotSchedule {
 public:
  explicit SnapshotSchedule(std::uint64_t every_bytes) : every_bytes_(every_bytes) {}

  void applied(Index index, std::uint64_t bytes) {
    bytes_ += bytes;
    if (bytes_ < every_bytes_ / 2) older_half_end_ = index;
  }
  // One is needed before its time: the newest does not know a member that needs it.
  void want() { wanted_ = true; }
  bool due() const { return !saving_ && (wanted_ || bytes_ >= every_bytes_); }
  // A snapshot is being saved: where the log may end once it is.
  Index begin() {
    saving_ = true;
    wanted_ = false;
    bytes_ = 0;
    return older_half_end_;
  }
  void saved() { saving_ = false; }
  // Another snapshot took the state's place.
  void restored(Index index) {
    bytes_ = 0;
    older_half_end_ = index;
  }

 private:
  const std::uint64_t every_bytes_;
  std::uint64_t bytes_ = 0;  // applied since the last snapshot
  Index older_half_end_ = 0;
  bool saving_ = false, wanted_ = false;
};

}  // namespace andyx::raft
