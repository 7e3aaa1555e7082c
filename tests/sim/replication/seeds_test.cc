// The cores as they are, over many seeds.
#include <doctest/doctest.h>

#include "tests/sim/replication/world.h"

namespace andyx::server::sim {
namespace {

TEST_CASE("no seed breaks an invariant, and all make progress after healing") {
  RunResult sum;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const RunResult result = run_seed(draw_options(seed));
    sum.acknowledged += result.acknowledged;
    sum.resent += result.resent;
    sum.faults += result.faults;
    sum.moves += result.moves;
    sum.confirmed += result.confirmed;
    sum.carried_over += result.carried_over;
    if (!result.violation) continue;
    FAIL("seed ", seed, ": ", result.violation->invariant, ": ", result.violation->detail, "\n",
         result.state);
  }
  // Else nothing was tried.
  CHECK(sum.acknowledged > 80'000);
  CHECK(sum.resent > 50'000);
  CHECK(sum.faults > 10'000);
  CHECK(sum.moves > 20);
  CHECK(sum.confirmed > 150'000);
  CHECK(sum.carried_over > 2'000);
}

TEST_CASE("a seed runs the same way twice") {
  for (const std::uint64_t seed : {7u, 8u, 9u}) {
    const RunResult one = run_seed(draw_options(seed)), two = run_seed(draw_options(seed));
    CHECK(one.events == two.events);
    CHECK(one.committed == two.committed);
    CHECK(one.confirmed == two.confirmed);
    CHECK(one.epochs == two.epochs);
    CHECK(one.virtual_time == two.virtual_time);
  }
}

}  // namespace
}  // namespace andyx::server::sim
