// Runs as a whole: they replay, and the same command is applied once.
#include <doctest/doctest.h>

#include "tests/sim/bugs.h"
#include "tests/sim/world.h"

namespace andyx::raft::sim {

TEST_CASE("a seed replays exactly, and another one does not") {
  std::uint64_t before = 0;
  bool async = false;
  bool sync = false;
  for (std::uint64_t seed = 1; seed <= 12; seed++) {
    CAPTURE(seed);
    const Options options = draw_options(seed, 60 * kSecond);
    (options.async_storage ? async : sync) = true;
    const RunResult first = run_seed(options);
    const RunResult second = run_seed(options);
    CHECK(first.trace_hash == second.trace_hash);
    CHECK(first.counts.events == second.counts.events);
    CHECK(first.commits > 5);
    CHECK(first.answered > 0);
    CHECK_FALSE(first.violation);
    CHECK(first.trace_hash != before);
    before = first.trace_hash;
  }
  CHECK(async);
  CHECK(sync);
}

TEST_CASE("a command that comes twice takes effect once") {
  Machine machine;
  const Command command{.client = 1, .sequence = 1, .op = Op::kPut, .key = 2, .value = 7};
  CHECK(machine.apply({.term = 1, .index = 1, .data = encode(command, 0)}));
  const Command other{
      .client = 2, .sequence = 1, .op = Op::kCompareAndSet, .key = 2, .expected = 7, .value = 8};
  CHECK(machine.apply({.term = 1, .index = 2, .data = encode(other, 0)}));
  CHECK_FALSE(machine.apply({.term = 1, .index = 3, .data = encode(command, 0)}));
  CHECK(machine.value(2) == 8);
  CHECK(machine.outcome(1).index == 1);
  CHECK(machine.outcome(2).ok);
}

TEST_CASE("changes that no membership could follow are rejected") {
  const ConfState simple{.voters = {1}};
  const ConfState joint{.voters = {1, 2}, .voters_outgoing = {1}};
  ConfChange remove;
  remove.changes.push_back({ConfChangeType::kRemove, 1});
  CHECK_FALSE(fits(simple, remove));
  CHECK_FALSE(fits(joint, remove));
  CHECK(fits(joint, {}));
  CHECK_FALSE(fits(simple, {}));
  remove.changes.push_back({ConfChangeType::kAddVoter, 2});
  CHECK(fits(simple, remove));
}

TEST_CASE("no bug is planted in this build") {
  CHECK(named_bugs().empty());
  CHECK_FALSE(plant("vote-twice"));
}

}  // namespace andyx::raft::sim
