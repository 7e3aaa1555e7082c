// How many ticks are due. Time comes from CLOCK_BOOTTIME, which also runs while the machine
// sleeps; after a pause all of them are due at once, up to a bound beyond which more change
// nothing. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace andyx::raft {

class TickClock {
 public:
  TickClock(std::uint32_t tick_ms, std::uint32_t max_due, std::uint64_t now_ms)
      : tick_ms_(tick_ms), max_due_(max_due), last_ms_(now_ms) {}

  // Takes them: the next call counts from here.
  std::uint32_t take_due(std::uint64_t now_ms) {
    if (now_ms < last_ms_) return 0;
    const std::uint64_t due = (now_ms - last_ms_) / tick_ms_;
    last_ms_ += due * tick_ms_;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(due, max_due_));
  }
  // What has passed until now does not count.
  void skip_to(std::uint64_t now_ms) { last_ms_ = std::max(last_ms_, now_ms); }

 private:
  const std::uint64_t tick_ms_;
  const std::uint32_t max_due_;
  std::uint64_t last_ms_;
};

}  // namespace andyx::raft
