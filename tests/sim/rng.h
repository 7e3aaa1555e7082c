// The simulator's only source of chance: xoshiro256** seeded through splitmix64, the same on every
// platform and standard library. Streams of one seed are independent of each other, so that one
// more draw in one part does not change the others.
// Source: Blackman, Vigna: Scrambled linear pseudorandom number generators (2018).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace andyx::raft::sim {

class Rng {
 public:
  Rng(std::uint64_t seed, std::uint64_t stream) {
    std::uint64_t mix = seed * 0x9e3779b97f4a7c15u + stream * 0xd1342543de82ef95u;
    for (std::uint64_t& word : state_) {
      mix += 0x9e3779b97f4a7c15u;
      std::uint64_t z = mix;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // [0, bound); bound >= 1 and below 2^32.
  std::uint64_t below(std::uint64_t bound) { return ((next() >> 32) * bound) >> 32; }
  // [low, high]
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  bool permille(std::uint32_t chance) { return below(1000) < chance; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace andyx::raft::sim
