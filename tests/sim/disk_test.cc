// A simulated disk that keeps too much or too little would prove nothing.
#include <doctest/doctest.h>

#include <set>

#include "tests/sim/disk.h"

namespace andyx::raft::sim {

namespace {

std::vector<Entry> entries(Index first, Index last, Term term) {
  std::vector<Entry> made;
  for (Index index = first; index <= last; index++) {
    made.push_back({.term = term, .index = index});
  }
  return made;
}

Disk formatted() {
  Disk disk;
  disk.format(std::make_shared<const Snapshot>(
                  Snapshot{.meta = {.index = 5, .term = 1, .conf = {.voters = {1}}}, .data = {}}),
              {.term = 1, .commit = 5});
  return disk;
}

}  // namespace

TEST_CASE("a crash keeps all that was synced") {
  for (std::uint64_t seed = 0; seed < 50; seed++) {
    Rng rng(seed, 0);
    Disk disk = formatted();
    disk.write(entries(6, 9, 2));
    disk.write(HardState{.term = 2, .vote = 3, .commit = 5});
    disk.sync();
    disk.crash(rng, false);
    CHECK(disk.recover());
    CHECK(disk.last_index() == 9);
    CHECK(disk.durable_hard() == HardState{.term = 2, .vote = 3, .commit = 5});
  }
}

TEST_CASE(
    "a crash keeps any prefix of what was not synced, or all or nothing where that is promised") {
  std::set<Index> torn;
  std::set<Index> atomic;
  for (std::uint64_t seed = 0; seed < 200; seed++) {
    for (const bool together : {false, true}) {
      Rng rng(seed, 0);
      Disk disk = formatted();
      disk.write(entries(6, 9, 2));
      disk.sync();
      disk.begin_batch();
      disk.write(entries(8, 12, 3));  // overwrites
      if (seed % 2 == 0) {
        disk.end_batch();  // else the crash comes before
      }
      disk.crash(rng, together);
      REQUIRE(disk.recover());
      (together ? atomic : torn).insert(disk.last_index());
      CHECK(disk.term(7) == Term{2});
      CHECK((disk.last_index() == 9 || disk.term(8) == Term{3}));
    }
  }
  CHECK(torn == std::set<Index>{8, 9, 10, 11, 12});
  CHECK(atomic == std::set<Index>{9, 12});
}

TEST_CASE("what a start knows to be committed is what its parts prove") {
  Rng rng(1, 0);
  Disk disk = formatted();
  disk.write(entries(6, 9, 2));
  disk.sync();
  Machine machine;
  machine.set_start(8);
  disk.save_machine(machine, {.voters = {1, 2}});
  disk.crash(rng, false);
  REQUIRE(disk.recover());
  CHECK(disk.durable_hard().commit == 8);
  CHECK(disk.initial_state().conf.voters == std::vector<PeerId>{1, 2});

  machine.set_start(20);  // behind the log's end: synced entries are missing
  disk.save_machine(machine, {.voters = {1}});
  CHECK_FALSE(disk.recover());
}

TEST_CASE("a snapshot of before the newest membership is not given to others") {
  Disk disk = formatted();
  disk.write(entries(6, 9, 2));
  CHECK(disk.snapshot());
  disk.membership_changed(7);
  CHECK(disk.snapshot().error() == LogFault::kSnapshotNotReady);
  CHECK(disk.take_snapshot_wanted());
  disk.save_snapshot(8, {.voters = {1, 2}}, {});
  CHECK(disk.snapshot());
}

}  // namespace andyx::raft::sim
