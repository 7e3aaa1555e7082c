// Each planted bug is caught: what the simulator would say of the real cores if they had it.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>

#include "tests/sim/replication/bugs.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {
namespace {

constexpr std::uint64_t kCounted = 12;   // seeds of each bug
constexpr std::uint64_t kSeeds = 6'000;  // at most, where none of these has caught it

struct Caught {
  std::uint64_t counted = 0;  // of the first kCounted seeds
  std::uint64_t first = 0;    // seed
  std::string invariant;      // that it broke
};

// Every other seed has only the faults around changes of the in-sync set.
RunResult run_planted(std::uint64_t seed) {
  Options options = draw_options(seed);
  if (seed % 2 == 0) {
    options.set_changes_only = true;
    options.subscriptions = 0;
  }
  return run_seed(options);
}

Caught catch_it() {
  Caught caught;
  for (std::uint64_t seed = 1; seed <= kCounted || (caught.first == 0 && seed <= kSeeds); ++seed) {
    const RunResult result = run_planted(seed);
    if (!result.violation) continue;
    caught.counted += seed <= kCounted;
    if (caught.first == 0) {
      caught.first = seed;
      caught.invariant = result.violation->invariant;
    }
  }
  return caught;
}

TEST_CASE("every planted bug is caught") {
  std::printf("%-28s %8s %6s %6s  %s\n", "planted bug", "seeds", "first", "s", "caught by");
  for (const NamedBug& each : named_bugs()) {
    REQUIRE(plant(each.name));
    const auto begin = std::chrono::steady_clock::now();
    const Caught caught = catch_it();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%-28s %2llu of %2llu %6llu %6.1f  %s\n", each.name,
                static_cast<unsigned long long>(caught.counted),
                static_cast<unsigned long long>(kCounted),
                static_cast<unsigned long long>(caught.first), took.count(),
                caught.first == 0 ? "nothing" : caught.invariant.c_str());
    CHECK_MESSAGE(caught.first != 0, each.name);
  }
  CHECK(named_bugs().size() >= 30);
}

}  // namespace
}  // namespace andyx::server::sim
