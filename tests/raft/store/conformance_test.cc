// One test for the durable store and its twin in memory.
#include "tests/raft/store/support/model_log.h"
#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

void with_each_log(const std::function<void(LogUnderTest&)>& test) {
  SUBCASE("memory") {
    MemoryLog log;
    test(log);
  }
  SUBCASE("rocksdb") {
    const TempDir directory;
    StoredLog log(options_at(directory.path()));
    test(log);
  }
  SUBCASE("rocksdb without a cache, opened anew after each write") {
    const TempDir directory;
    StoreOptions options = options_at(directory.path());
    options.cache_bytes = 0;
    StoredLog log(options, StoredLog::kReopenAlways);
    test(log);
  }
}

constexpr auto kCompacted = std::unexpected(LogFault::kCompacted);
constexpr auto kUnavailable = std::unexpected(LogFault::kUnavailable);

std::vector<Index> indexes(const LogUnderTest& log, Index low, Index high, std::uint64_t bytes) {
  std::vector<Index> out;
  const auto entries = log.read().entries(low, high, bytes);
  REQUIRE(entries);
  for (const Entry& entry : *entries) out.push_back(entry.index);
  return out;
}

}  // namespace

TEST_CASE("an empty log begins at 1 and has no snapshot") {
  with_each_log([](LogUnderTest& log) {
    CHECK(log.read().initial_state().hard.empty());
    CHECK(log.read().initial_state().conf == ConfState{});
    CHECK(log.read().first_index() == 1);
    CHECK(log.read().last_index() == 0);
    CHECK(log.read().term(0) == Term{0});
    CHECK(log.read().term(1) == std::expected<Term, LogFault>(kUnavailable));
    CHECK((*log.read().snapshot())->meta.index == 0);
    CHECK(log.read().entries(1, 2, kNoLimit).error() == LogFault::kUnavailable);
  });
}

TEST_CASE("entries and hard state are read back as they were written") {
  with_each_log([](LogUnderTest& log) {
    std::vector<Entry> entries = entries_from(1, 5, 1);
    entries[1].type = EntryType::kConfChange;
    entries[2].type = EntryType::kConfChangeV2;
    entries[3].data = {};
    log.write({.hard = HardState{.term = 1, .vote = 3, .commit = 2}, .entries = entries});
    log.write({.entries = entries_from(6, 4, 2)});
    log.write({.hard = HardState{.term = 2, .vote = kNone, .commit = 9}});
    CHECK(log.read().initial_state().hard == HardState{.term = 2, .vote = kNone, .commit = 9});
    CHECK(log.read().first_index() == 1);
    CHECK(log.read().last_index() == 9);
    CHECK(same(*log.read().entries(1, 6, kNoLimit), entries));
    for (Index index = 1; index <= 9; ++index) {
      CHECK(log.read().term(index) == Term{index < 6 ? 1u : 2u});
    }
    CHECK(log.read().term(10) == std::expected<Term, LogFault>(kUnavailable));
    CHECK(log.read().entries(9, 11, kNoLimit).error() == LogFault::kUnavailable);
  });
}

TEST_CASE("a read takes the longest prefix within its bytes, at least one entry") {
  with_each_log([](LogUnderTest& log) {
    log.write({.entries = entries_from(1, 10, 1, 100)});
    const std::uint64_t one = entry_at(1, 1, 100).encoded_bytes();
    CHECK(indexes(log, 3, 11, 0) == std::vector<Index>{3});
    CHECK(indexes(log, 3, 11, 2 * one) == std::vector<Index>{3, 4});
    CHECK(indexes(log, 3, 11, 3 * one - 1) == std::vector<Index>{3, 4});
    CHECK(indexes(log, 8, 11, kNoLimit) == std::vector<Index>{8, 9, 10});
    CHECK(indexes(log, 8, 9, kNoLimit) == std::vector<Index>{8});
  });
}

TEST_CASE("entries that overlap overwrite what stands, and all behind it") {
  with_each_log([](LogUnderTest& log) {
    log.write({.entries = entries_from(1, 10, 1)});
    log.write({.entries = entries_from(6, 2, 3)});
    CHECK(log.read().last_index() == 7);
    CHECK(log.read().term(5) == Term{1});
    CHECK(log.read().term(7) == Term{3});
    CHECK(same(*log.read().entries(6, 8, kNoLimit), entries_from(6, 2, 3)));
    log.write({.entries = entries_from(1, 1, 4)});
    CHECK(log.read().last_index() == 1);
    CHECK(log.read().term(1) == Term{4});
    log.write({.entries = entries_from(2, 3, 4)});
    CHECK(log.read().last_index() == 4);
  });
}

TEST_CASE("a saved snapshot keeps the entries, and compaction forgets them up to it") {
  with_each_log([](LogUnderTest& log) {
    log.write({.entries = entries_from(1, 10, 2)});
    const SnapshotPtr snapshot = snapshot_at(6, 2, 600'000);
    log.save_snapshot(snapshot);
    CHECK(log.read().first_index() == 1);
    CHECK((*log.read().snapshot())->meta == snapshot->meta);
    CHECK(text_of((*log.read().snapshot())->data) == text_of(snapshot->data));
    CHECK(log.read().initial_state().conf == snapshot->meta.conf);
    log.compact(4);
    CHECK(log.read().first_index() == 5);
    CHECK(log.read().term(3) == std::expected<Term, LogFault>(kCompacted));
    CHECK(log.read().term(4) == Term{2});
    CHECK(log.read().entries(4, 6, kNoLimit).error() == LogFault::kCompacted);
    CHECK(same(*log.read().entries(5, 11, kNoLimit), entries_from(5, 6, 2)));
    log.compact(3);
    CHECK(log.read().first_index() == 5);
    log.save_snapshot(snapshot_at(5, 2));  // older: left out
    CHECK((*log.read().snapshot())->meta.index == 6);
    log.save_snapshot(snapshot_at(10, 2, 0));
    log.compact(10);
    CHECK(log.read().first_index() == 11);
    CHECK(log.read().last_index() == 10);
    CHECK(log.read().term(10) == Term{2});
    log.write({.entries = entries_from(9, 4, 3)});  // what is compacted is skipped
    CHECK(log.read().last_index() == 12);
    CHECK(log.read().term(10) == Term{2});
    CHECK(log.read().term(11) == Term{3});
  });
}

TEST_CASE("a received snapshot replaces the log, and entries continue it") {
  with_each_log([](LogUnderTest& log) {
    log.write({.entries = entries_from(1, 10, 1)});
    log.write({.hard = HardState{.term = 4, .vote = 2, .commit = 20},
               .snapshot = snapshot_at(20, 4, 300'000)});
    CHECK(log.read().first_index() == 21);
    CHECK(log.read().last_index() == 20);
    CHECK(log.read().term(20) == Term{4});
    CHECK(log.read().term(19) == std::expected<Term, LogFault>(kCompacted));
    log.write({.entries = entries_from(21, 2, 4)});
    log.write({.snapshot = snapshot_at(15, 3)});  // older: left out
    CHECK(log.read().last_index() == 22);
    log.write({.entries = entries_from(41, 3, 5), .snapshot = snapshot_at(40, 5)});
    CHECK(log.read().first_index() == 41);
    CHECK(log.read().last_index() == 43);
    CHECK((*log.read().snapshot())->meta.index == 40);
    CHECK(log.read().initial_state().hard == HardState{.term = 4, .vote = 2, .commit = 20});
  });
}
