// The simulator's only source of chance: splitmix64, the same on every platform. Streams of one
// seed are independent of each other, so that one more draw in one part does not change the others.
// Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
#pragma once

#include <cstdint>
#include <vector>

namespace andyx::server::sim {

class Rng {
 public:
  Rng(std::uint64_t seed, std::uint64_t stream) : state_(seed * 0xd1342543de82ef95u + stream) {
    state_ = next() ^ stream << 48;  // neighbours would walk through each other's numbers
    state_ = next();
  }

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
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
  std::uint64_t state_;
};

}  // namespace andyx::server::sim
