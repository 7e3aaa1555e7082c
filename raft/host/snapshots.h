// When to take a snapshot, and how far the log may be forgotten behind it. Pure.
#pragma once

#include <cstdint>
#include <utility>

#include "raft/core/types.h"

namespace andyx::raft {

// After every `every_bytes` of applied entries; the younger half of them stays in the log, for
// followers that are only a little behind. One that is taken much earlier, because it is wanted,
// leaves all that came since the one before.
class SnapshotSchedule {
 public:
  explicit SnapshotSchedule(std::uint64_t every_bytes) : every_bytes_(every_bytes) {}

  void applied(Index index, std::uint64_t bytes) {
    bytes_ += bytes;
    last_ = index;
    if (bytes_ < every_bytes_ / 2) older_half_end_ = index;
  }
  // One is needed before its time: the newest does not know a member that needs it, or the state
  // machine asks for it.
  void want() { wanted_ = true; }
  bool due() const { return !saving_ && (wanted_ || bytes_ >= every_bytes_); }
  // A snapshot is being saved: where the log may end once it is.
  Index begin() {
    const Index before = std::exchange(begun_at_, last_);
    const Index end = bytes_ < every_bytes_ / 2 ? before : older_half_end_;
    saving_ = true;
    wanted_ = false;
    bytes_ = 0;
    return end;
  }
  void saved() { saving_ = false; }
  // Another snapshot took the state's place.
  void restored(Index index) {
    bytes_ = 0;
    older_half_end_ = last_ = begun_at_ = index;
  }

 private:
  const std::uint64_t every_bytes_;
  std::uint64_t bytes_ = 0;  // applied since the last snapshot
  Index older_half_end_ = 0;
  Index last_ = 0;
  Index begun_at_ = 0;  // what the last snapshot holds
  bool saving_ = false, wanted_ = false;
};

}  // namespace andyx::raft
