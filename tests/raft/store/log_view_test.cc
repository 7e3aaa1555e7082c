// The log in memory: what it keeps, and what it lets go of.
#include "raft/store/log_view.h"

#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

LogView::Entries nothing_older(Index, Index, std::uint64_t) {
  return std::unexpected(LogFault::kUnavailable);
}

}  // namespace

TEST_CASE("the cache stays under its bytes, and never lets go of what is not stored") {
  constexpr std::uint64_t kLimit = 20'000;
  LogView log(kLimit);
  for (Index index = 1; index <= 100; ++index) log.append(entry_at(index, 1, 1'000), index);
  CHECK(log.cached_bytes() > 100'000);
  log.evict(0);
  CHECK(log.entries(1, 101, kNoLimit, nothing_older));
  log.evict(50);
  CHECK(log.entries(51, 101, kNoLimit, nothing_older));
  CHECK_FALSE(log.entries(50, 51, kNoLimit, nothing_older));
  log.evict(100);
  CHECK(log.cached_bytes() <= kLimit);
  CHECK(log.cached_bytes() > kLimit / 2);
  CHECK(log.entries(100, 101, kNoLimit, nothing_older));
  for (Index index = 1; index <= 100; ++index) CHECK(log.term(index) == Term{1});
  log.append(entry_at(20, 2), 101);  // behind what left the cache
  CHECK(log.last_index() == 20);
  CHECK(log.term(19) == Term{1});
  CHECK(log.entries(20, 21, kNoLimit, nothing_older));
}

TEST_CASE("a read over the edge of the cache is one stretch, within its bytes") {
  LogView log(2'000);
  for (Index index = 1; index <= 20; ++index) log.append(entry_at(index, 1, 500), index);
  log.evict(20);
  const auto read_older = [](Index low, Index high, std::uint64_t max_bytes) -> LogView::Entries {
    std::vector<Entry> found = entries_from(low, high - low, 1, 500);
    std::uint64_t bytes = 0;
    std::size_t count = 0;
    while (count < found.size() &&
           (count == 0 || bytes + found[count].encoded_bytes() <= max_bytes))
      bytes += found[count++].encoded_bytes();
    found.resize(count);
    return found;
  };
  const std::uint64_t one = entry_at(1, 1, 500).encoded_bytes();
  for (Index low = 1; low <= 20; ++low) {
    for (std::size_t count = 1; count <= 21 - low; ++count) {
      CHECK(same(*log.entries(low, 21, count * one + 20, read_older),
                 entries_from(low, count, 1, 500)));
    }
  }
}

TEST_CASE("a small payload does not keep the slab that it was received in") {
  LogView log(1 << 20);
  const SharedBytes slab = SharedBytes::allocate(256 << 10);
  for (Index index = 1; index <= 10; ++index) {
    log.append({.term = 1, .index = index, .data = slab.slice(index, 100)}, index);
  }
  CHECK(slab.unique());
  CHECK(log.cached_bytes() < 10'000);
}

TEST_CASE("terms are right wherever a compaction or a truncation falls") {
  LogView whole;
  for (Index index = 1; index <= 30; ++index) whole.append(entry_at(index, 1 + index / 7), 0);
  for (Index base = 0; base <= 30; ++base) {
    LogView log = whole;
    log.compact(base);
    CHECK(log.first_index() == base + 1);
    CHECK(log.base_term() == (base == 0 ? 0 : *whole.term(base)));
    for (Index index = base; index <= 30; ++index) {
      CHECK(log.term(index) == (index == 0 ? Term{0} : *whole.term(index)));
    }
    if (base == 30) continue;
    log.append(entry_at(base + 1, 9), 0);
    CHECK(log.last_index() == base + 1);
    CHECK(log.last_term() == 9);
    CHECK(log.term(base) == whole.term(base));
  }
}
