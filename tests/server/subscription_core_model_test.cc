// Random events against the model of subscription_core_machine.h, over all types, modes and
// orders. ANDYX_TEST_SEED repeats a run.
#include <cstdlib>

#include "tests/server/subscription_core_machine.h"

namespace andyx::server {
namespace {

constexpr int kSteps = 2'500;  // of one machine: its log stays short enough to be looked through
constexpr int kMachines = 6;
constexpr int kMostMachines = 10 * kMachines;  // rare events do not happen in every six

// What the machines of a run came upon.
struct Seen {
  std::uint64_t delivered = 0, redelivered = 0, crashes = 0, timeouts = 0, dead = 0, matured = 0;

  void add(const Machine& machine) {
    delivered += machine.delivered;
    redelivered += machine.redelivered;
    crashes += machine.crashes;
    timeouts += machine.timeouts;
    dead += machine.dead_lettered;
    matured += machine.matured;
  }
  bool enough() const {
    return delivered > 200 && redelivered > 50 && crashes > 5 && timeouts > 5 && matured > 20 &&
           dead > 0;
  }
};

std::uint64_t seed_of_this_run() {
  if (const char* given = std::getenv("ANDYX_TEST_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

void run(MachineOptions options) {
  const std::uint64_t seed = seed_of_this_run();
  CAPTURE(seed);
  MESSAGE("ANDYX_TEST_SEED=", seed);
  Seen seen;
  for (int i = 0; i < kMachines || (!seen.enough() && i < kMostMachines); ++i) {
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
    seen.add(machine);
  }
  MESSAGE(seen.delivered, " delivered, ", seen.redelivered, " again, ", seen.timeouts,
          " timed out, ", seen.dead, " dead letters, ", seen.matured, " matured, ", seen.crashes,
          " crashes");
  CHECK(seen.enough());
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
