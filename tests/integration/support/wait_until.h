// Waiting for a condition, with a deadline. Tests wait for what they need, never for time to pass.
#pragma once

#include <chrono>
#include <concepts>
#include <thread>

namespace andyx::test {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

inline constexpr Millis kGenerous{30'000};  // no test is about this long; a hang ends here

// True as soon as `condition()` is; false when it is not so within `deadline`.
template <std::predicate Condition>
bool wait_until(Condition&& condition, Millis deadline = kGenerous) {
  const auto end = Clock::now() + deadline;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(Millis(2));
  }
  return true;
}

}  // namespace andyx::test
