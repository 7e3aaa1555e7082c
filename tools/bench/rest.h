// How a thread that sends at a rate waits until the next message is due.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

namespace andyx::bench {

inline constexpr std::uint64_t kMostRestNs = 1'000'000;  // so soon are a new rate and the end seen
// At more than a message in so long, several are sent at once: a thread that sleeps for less takes
// a whole core from the server beside it. It counts as their delay.
inline constexpr std::uint64_t kLeastRestNs = 100'000;

// Returns at `due_ns` or later, or after kMostRestNs. Monotonic times; `now_ns` is before
// `due_ns`.
inline void rest_until_due(std::uint64_t due_ns, std::uint64_t now_ns) {
  std::this_thread::sleep_for(
      std::chrono::nanoseconds(std::clamp(due_ns - now_ns, kLeastRestNs, kMostRestNs)));
}

}  // namespace andyx::bench
