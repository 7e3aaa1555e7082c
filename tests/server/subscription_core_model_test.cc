// Random events against the model of subscription_core_machine.h, over all types, modes and
// orders. ANDYX_TEST_SEED repeats a run.
#include <cstdlib>

#include "tests/server/subscription_core_machine.h"

namespace andyx::server {
namespace {

constexpr int kSteps = 2'500;  // of one machine: its log stays short enough to be looked through
constexpr int kMachines = 6;

std::uint64_t seed_of_this_run() {
  if (const char* given = std::getenv("ANDYX_TEST_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

void run(MachineOptions options) {
  const std::uint64_t seed = seed_of_this_run();
  CAPTURE(seed);
  MESSAGE("ANDYX_TEST_SEED=", seed);
  std::uint64_t delivered = 0, redelivered = 0, crashes = 0, timeouts = 0, dead = 0, matured = 0;
  for (int i = 0; i < kMachines; ++i) {
    CAPTURE(i);
    options.delays = i % 2 == 0;
    options.max_deliveries = i % 3 == 0 ? 0 : 3;
    Machine machine(options, seed + 100 * static_cast<std::uint64_t>(options.type) +
                                 static_cast<std::uint64_t>(i));
    for (int step = 0; step < kSteps; ++step) {
      CAPTURE(step);
      machine.step();
    }
    machine.drain();
    delivered += machine.delivered;
    redelivered += machine.redelivered;
    crashes += machine.crashes;
    timeouts += machine.timeouts;
    dead += machine.dead_lettered;
    matured += machine.matured;
  }
  MESSAGE(delivered, " delivered, ", redelivered, " again, ", timeouts, " timed out, ", dead,
          " dead letters, ", matured, " matured, ", crashes, " crashes");
  CHECK(delivered > 200);
  CHECK(redelivered > 50);
  CHECK(crashes > 5);
  CHECK(timeouts > 5);
  CHECK(matured > 20);
  CHECK(dead > 0);
}

TEST_CASE("unique, nonresilient: random events agree with the model") {
  run({.type = Type::unique, .mode = Mode::nonresilient});
}
TEST_CASE("unique, resilient: random events agree with the model") {
  run({.type = Type::unique, .mode = Mode::resilient});
}
TEST_CASE("failover, nonresilient: random events agree with the model") {
  run({.type = Type::failover, .mode = Mode::nonresilient});
}
TEST_CASE("failover, resilient: random events agree with the model") {
  run({.type = Type::failover, .mode = Mode::resilient});
}
TEST_CASE("shared, nonresilient: random events agree with the model") {
  run({.type = Type::shared, .mode = Mode::nonresilient});
}
TEST_CASE("shared, resilient: random events agree with the model") {
  run({.type = Type::shared, .mode = Mode::resilient});
}
TEST_CASE("shared, ordered by key: random events agree with the model") {
  run({.type = Type::shared, .mode = Mode::nonresilient, .key_ordered = true});
}

}  // namespace
}  // namespace andyx::server
