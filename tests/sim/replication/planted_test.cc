// Each planted bug is caught: what the simulator would say of the real cores if they had it.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>

#include "tests/sim/replication/bugs.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {
namespace {

constexpr std::uint64_t kSeeds = 6'000;  // for a bug; most need a few

struct Caught {
  std::uint64_t seed = 0;
  std::string invariant;
};

// Every other seed has only the faults around changes of the in-sync set.
Caught first_caught() {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Options options = draw_options(seed);
    options.set_changes_only = options.set_changes_only || seed % 2 == 0;
    const RunResult result = run_seed(options);
    if (result.violation) return {.seed = seed, .invariant = result.violation->invariant};
  }
  return {};
}

TEST_CASE("every planted bug of replication is caught") {
  std::printf("%-28s %6s %6s  %s\n", "planted bug", "seed", "s", "caught by");
  for (const NamedBug& each : named_bugs()) {
    REQUIRE(plant(each.name));
    const auto begin = std::chrono::steady_clock::now();
    const Caught caught = first_caught();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%-28s %6llu %6.1f  %s\n", each.name, static_cast<unsigned long long>(caught.seed),
                took.count(), caught.seed == 0 ? "nothing" : caught.invariant.c_str());
    CHECK_MESSAGE(caught.seed != 0, each.name);
  }
  CHECK(named_bugs().size() >= 12);
}

}  // namespace
}  // namespace andyx::server::sim
