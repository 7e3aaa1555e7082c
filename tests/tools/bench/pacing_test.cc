#include <doctest/doctest.h>

#include <cmath>
#include <thread>
#include <vector>

#include "tools/bench/workload/due_queue.h"
#include "tools/bench/workload/pacer.h"
#include "tools/bench/workload/rate_search.h"
#include "tools/bench/workload/sequence_check.h"

using namespace andyx;

TEST_CASE("a rate is held against the clock: what a stall delayed stays due at its time") {
  bench::Pacer pacer(1'000, 5'000'000'000);  // one each ms
  CHECK_FALSE(pacer.is_due(4'999'999'999));
  REQUIRE(pacer.is_due(5'000'000'000));
  pacer.take();
  CHECK(pacer.due_ns() == 5'001'000'000);
  CHECK_FALSE(pacer.is_due(5'000'999'999));
  // Nothing is taken for 10 ms: ten messages are due then, the first of them 10 ms ago.
  const std::uint64_t now_ns = 5'011'000'000;
  std::vector<std::uint64_t> late_ns;
  while (pacer.is_due(now_ns)) {
    late_ns.push_back(now_ns - pacer.due_ns());
    pacer.take();
  }
  REQUIRE(late_ns.size() == 11);
  CHECK(late_ns.front() == 10'000'000);
  CHECK(late_ns.back() == 0);
}

TEST_CASE("rounding adds nothing to a rate, however long it is held") {
  const double rate = 300'007;
  bench::Pacer pacer(rate, 0);
  constexpr std::uint64_t kMessages = 3'000'070;  // of ten seconds
  for (std::uint64_t i = 0; i < kMessages; ++i) pacer.take();
  CHECK(std::abs(static_cast<double>(pacer.due_ns()) - 1e10) < 10);
}

TEST_CASE("the highest sustained rate is found within its precision, from below and from above") {
  for (const double most : {37.0, 9'999.0, 10'000.0, 123'456.0, 4.5e6}) {
    CAPTURE(most);
    bench::RateSearch search;
    int tries = 0;
    while (const auto rate = search.next()) {
      REQUIRE(++tries <= 40);
      search.tried(*rate <= most);
    }
    REQUIRE(search.found().has_value());
    CHECK(*search.found() <= most);
    CHECK(*search.found() * 1.05 > most);
  }
}

TEST_CASE("one disturbed try does not give a rate up, and a search without success finds nothing") {
  bench::RateSearch search(1'000);
  search.tried(false);
  CHECK(search.next() == 1'000);  // again
  search.tried(true);
  CHECK(search.found() == 1'000);
  CHECK(search.next() == 4'000);
  bench::RateSearch never(1'000);
  int tries = 0;
  while (never.next()) {
    REQUIRE(++tries <= 40);
    never.tried(false);
  }
  CHECK_FALSE(never.found().has_value());
}

TEST_CASE("a rate is sustained when nothing is left behind, neither sent nor received") {
  const bench::RateTrial good{.rate = 1'000, .seconds = 10, .acked = 9'900, .backlog = 100};
  CHECK(bench::is_sustained(good));
  bench::RateTrial trial = good;
  trial.acked = 9'400;
  CHECK_FALSE(bench::is_sustained(trial));
  trial = good;
  trial.backlog = 501;
  CHECK_FALSE(bench::is_sustained(trial));
}

TEST_CASE("what is lost, comes twice or out of order is told apart") {
  bench::SequenceCheck check;
  for (const std::uint64_t sequence : {0, 1, 2, 6, 4, 4, 2, 6, 7}) check.received(sequence);
  // 3 and 5 never came; 4 came after 6; 4, 2 and 6 came again.
  CHECK(check.unique() == 6);
  CHECK(check.reordered() == 1);
  CHECK(check.duplicates() == 3);
  CHECK(check.missing(8) == 2);
  CHECK(check.missing(10) == 4);
  check.received(3);
  check.received(5);
  CHECK(check.reordered() == 3);
  CHECK(check.missing(8) == 0);
  CHECK(check.duplicates() == 3);
}

TEST_CASE("due times leave a queue in the order in which they came, over its chunks") {
  bench::DueQueue queue;
  std::uint64_t pushed = 0, popped = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 1'500; ++i) queue.push(pushed++);
    for (int i = 0; i < 1'400; ++i) REQUIRE(queue.pop() == popped++);
  }
  while (popped < pushed) REQUIRE(queue.pop() == popped++);
}
