// What a store holds after it was closed, or killed.
#include "tests/raft/store/support/child_store.h"
#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

TEST_CASE("a closed store opens as it was, with what needed no sync") {
  const TempDir directory;
  const StoreOptions options = options_at(directory.path() + "/deep/store");
  Counter done;
  {
    auto store = open_or_fail(options);
    store->write({.hard = HardState{.term = 3, .vote = 2}, .entries = entries_from(1, 4, 3)},
                 done.one());
    store->write({.hard = HardState{.term = 3, .vote = 2, .commit = 4}, .sync = false}, done.one());
    store->save_snapshot(snapshot_at(2, 3), done.one());
    store->compact(2);
  }
  CHECK(done.count() == 3);
  auto store = open_or_fail(options);
  CHECK(store->initial_state().hard == HardState{.term = 3, .vote = 2, .commit = 4});
  CHECK(store->first_index() == 3);
  CHECK(store->last_index() == 4);
  CHECK(store->term(2) == Term{3});
}

TEST_CASE("a write that needs no sync is done without one, and without a write") {
  const TempDir directory;
  auto store = open_or_fail(options_at(directory.path()));
  const std::uint64_t synced = store->synced_bytes();
  Counter done;
  for (Index commit = 1; commit <= 50; ++commit) {
    store->write({.hard = HardState{.term = 1, .vote = 1, .commit = commit}, .sync = false},
                 done.one());
  }
  done.wait(50);
  CHECK(store->synced_bytes() == synced);
  CHECK(store->queued_bytes() == 0);
  CHECK(store->oldest_write_age_ms() == 0);
  CHECK(store->initial_state().hard.commit == 50);
  write_and_wait(*store, {.entries = entries_from(1, 1, 1)});
  CHECK(store->synced_bytes() > synced);
  copy_as_killed(directory.path(), directory.path() + "-killed");
  CHECK(open_or_fail(options_at(directory.path() + "-killed"))->initial_state().hard.commit == 50);
  std::filesystem::remove_all(directory.path() + "-killed");
}

TEST_CASE("writes that need no sync do not gather without end") {
  const TempDir directory;
  auto store = open_or_fail(options_at(directory.path()));
  Counter done;
  for (Index index = 1; index <= 40; ++index) {
    store->write({.entries = entries_from(index, 1, 1, 100'000), .sync = false}, done.one());
  }
  done.wait(40);
  CHECK(store->synced_bytes() > 2'000'000);
}

TEST_CASE("done is called in the order of the writes, synced or not") {
  const TempDir directory;
  std::vector<Index> order;
  {
    auto store = open_or_fail(options_at(directory.path()));
    for (Index index = 1; index <= 500; ++index) {
      store->write({.entries = entries_from(index, 1, 1), .sync = index % 3 == 0},
                   [&order, index] { order.push_back(index); });
    }
  }
  REQUIRE(order.size() == 500);
  CHECK(std::ranges::is_sorted(order));
}

TEST_CASE("entries that left the cache are read from the disk, whole and in order") {
  const TempDir directory;
  StoreOptions options = options_at(directory.path());
  options.cache_bytes = 50'000;
  auto store = open_or_fail(options);
  constexpr Index kEntries = 30'000;  // more than a memtable of RocksDB's
  Counter done;
  for (Index index = 1; index <= kEntries; index += 100) {
    store->write({.entries = entries_from(index, 100, 1 + index / 7'000, 1'000)}, done.one());
    if (index % 1'000 == 1) done.wait(index / 100 + 1);
  }
  done.wait(kEntries / 100);
  for (int start = 0; start < 2; ++start) {
    Index next = 1;
    while (next <= kEntries) {
      const auto entries = store->entries(next, kEntries + 1, 700'000);
      REQUIRE(entries);
      REQUIRE_FALSE(entries->empty());
      for (const Entry& entry : *entries) {
        REQUIRE(entry.index == next++);
        REQUIRE(text_of(entry.data) == payload_of(entry.index, entry.term, 1'000));
      }
    }
    store.reset();
    store = open_or_fail(options);
  }
}

TEST_CASE("a store killed at any time holds what was done, and goes on") {
  const TempDir directory;
  Index done = 0;
  for (const std::size_t writes : {1u, 30u, 400u, 2'000u}) {
    const Index told = ChildStore(directory.path()).kill_after(writes);
    CHECK(told > done);
    done = std::max(done, told);
    auto store = open_or_fail(options_at(directory.path()));
    CHECK(store->last_index() >= done);
    const HardState hard = store->initial_state().hard;
    CHECK(hard.term == 1 + store->last_index() / 100);
    CHECK(hard.vote == 1 + hard.term % 3);
    const auto entries = store->entries(1, store->last_index() + 1, kNoLimit);
    REQUIRE(entries);
    CHECK(same(*entries, [&] {
      std::vector<Entry> expected;
      for (Index index = 1; index <= store->last_index(); ++index) {
        expected.push_back(entry_at(index, 1 + index / 100, 200));
      }
      return expected;
    }()));
  }
}
