// Exponential back-off with jitter. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace andyx::client {

// splitmix64: a small generator with an explicit state.
inline std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// After `failures` (from 1) in a row: min, 2 min, 4 min… up to max; of that a random half to whole.
inline std::uint64_t backoff_ms(std::uint32_t failures, std::uint64_t min_ms, std::uint64_t max_ms,
                                std::uint64_t& random) {
  const std::uint32_t doublings = std::min<std::uint32_t>(failures > 0 ? failures - 1 : 0, 20);
  const std::uint64_t full_ms = std::min(max_ms, std::max<std::uint64_t>(min_ms, 1) << doublings);
  return full_ms - next_random(random) % (full_ms / 2 + 1);
}

}  // namespace andyx::client
