// Seeds and sizes of random tests: from the environment, else chosen; printed, so that a failure
// can be run again.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace andyx::test {

inline std::uint64_t environment_number(const char* variable, std::uint64_t otherwise) {
  const char* given = std::getenv(variable);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

inline std::uint64_t printed_seed() {
  const std::uint64_t seed = environment_number("ANDYX_SEED", std::random_device{}());
  std::cout << "seed " << seed << " (again with ANDYX_SEED=" << seed << ")" << std::endl;
  return seed;
}

}  // namespace andyx::test
