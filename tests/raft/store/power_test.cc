// Power failure at every operation of a workload: what was done is there, nothing is torn.
#include <atomic>

#include "tests/raft/store/support/fault_store.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

struct Workload {
  std::atomic<std::uint64_t> done{0};  // steps, in their order
  static constexpr std::uint64_t kSteps = 60;

  // Step n: entries of term n. Each overwrites the last of the step before.
  static Index first_of(std::uint64_t step) { return step; }
  // Rounds of one page, of several, and some that are too large for a copy.
  static std::size_t size_of(std::uint64_t step) {
    return step % 11 == 0 ? limits::kMaxRaftRoundCopyBytes : 400 * (1 + step % 7) * (1 + step % 5);
  }

  void run(RaftStore& store) {
    Counter called;
    for (std::uint64_t step = 1; step <= kSteps; ++step) {
      StoreWrite write{.hard = HardState{.term = step, .vote = 1 + step % 5, .commit = step - 1}};
      if (step % 20 == 0) {
        write.snapshot = snapshot_at(first_of(step) - 1, step - 1, 600'000);
      }
      write.entries = entries_from(first_of(step), 2, step, size_of(step));
      store.write(std::move(write), [this, step, call = called.one()]() mutable {
        done = step;
        call();
      });
      if (step % 3 != 0) wait_until([&] { return done == step || failed; });
      if (step % 20 == 10) {
        store.save_snapshot(snapshot_at(step, step, 300'000), {});
        store.compact(step);
      }
      store.write(
          {.hard = HardState{.term = step, .vote = 1 + step % 5, .commit = step}, .sync = false},
          {});
      if (failed) return;
    }
    wait_until([&] { return done == kSteps || failed; });
  }

  std::atomic<bool> failed{false};
};

void check_after(const RaftStore& store, std::uint64_t done) {
  const HardState hard = store.initial_state().hard;
  REQUIRE(hard.term >= done);
  if (hard.term == 0) return;
  CHECK(hard.vote == 1 + hard.term % 5);
  CHECK(hard.commit >= hard.term - 1);
  REQUIRE(store.last_index() == Workload::first_of(hard.term) + 1);
  for (Index index = store.first_index(); index <= store.last_index(); ++index) {
    const Term term = std::min<Term>(index, hard.term);
    REQUIRE(store.term(index) == term);
    const auto entries = store.entries(index, index + 1, 0);
    REQUIRE(entries);
    CHECK(same(*entries, entries_from(index, 1, term, Workload::size_of(term))));
  }
  const SnapshotPtr snapshot = *store.snapshot();
  CHECK(snapshot->meta.index + 1 >= store.first_index());
  if (snapshot->meta.index != 0) {
    CHECK(text_of(snapshot->data) ==
          payload_of(snapshot->meta.index, snapshot->meta.term, snapshot->data.size()));
  }
}

std::uint64_t run_and_lose_power(std::uint64_t at, std::uint64_t seed) {
  FaultStore fixture(seed);
  fixture.disk->lose_power_at(at);
  Workload workload;
  std::uint64_t operations = 0;
  if (auto store = RaftStore::open(fixture.options, fixture.disk)) {
    (*store)->on_failure([&](const Error&) { workload.failed = true; });
    workload.run(**store);
    operations = fixture.disk->operations();
  }
  fixture.disk->lose_power();
  std::uint64_t done = workload.done;
  for (int start = 0; start < 3; ++start) {  // what recovery did must hold as well
    auto store = RaftStore::open(fixture.options, fixture.disk);
    if (!store) FAIL(store.error().message);
    check_after(**store, done);
    done = (*store)->initial_state().hard.term;  // what was read once stays
    if (start == 1) {
      const Index next = (*store)->last_index();
      if (done > 0) {
        write_and_wait(**store,
                       {.hard = HardState{.term = ++done, .vote = 1 + done % 5, .commit = done - 1},
                        .entries = entries_from(next, 2, done, Workload::size_of(done))});
      }
    }
    fixture.disk->lose_power_at(fixture.disk->operations());
    store->reset();
    fixture.disk->lose_power();
  }
  return operations;
}

}  // namespace

TEST_CASE("power failure at any write loses nothing that was done, and tears nothing") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  const std::uint64_t operations = run_and_lose_power(~std::uint64_t{0}, seed);
  REQUIRE(operations > 150);
  const std::uint64_t step = long_tests() ? 1 : std::max<std::uint64_t>(1, operations / 60);
  MESSAGE("writes in the workload: ", operations, ", power lost at every ", step, "th");
  for (std::uint64_t at = seed % step; at < operations; at += step) {
    CAPTURE(at);
    run_and_lose_power(at, seed + at);
  }
}
