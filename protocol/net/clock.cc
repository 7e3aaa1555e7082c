#include <time.h>

#include "protocol/net/loop.h"

namespace andyx::net {

std::int64_t wall_time_us() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

namespace {
std::uint64_t nanoseconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}
}  // namespace

std::uint64_t monotonic_ns() { return nanoseconds_of(CLOCK_MONOTONIC); }

std::uint64_t boottime_ns() { return nanoseconds_of(CLOCK_BOOTTIME); }

}  // namespace andyx::net
