#include "server/partition/due_index.h"

#include <doctest/doctest.h>

#include <atomic>

#include "server/partition/due_row.h"
#include "tests/server/partition_harness.h"

using namespace andyx;
using namespace andyx::server;

namespace {

constexpr TimeUs kHour = 3'600'000'000;
constexpr TimeUs kFar = 1'000 * kHour;

std::size_t stored_rows(storage::StorageShard& shard) {
  std::size_t rows = 0;
  const auto count = [&](std::string_view, std::string_view) { return ++rows > 0; };
  CHECK(shard.scan(storage::Table::kCursor, due_prefix(kPartition), count));
  return rows;
}

// `count` delayed messages in batches of 1,000, due one microsecond after the other.
void produce_delayed(PartitionHarness& harness, TimeUs first_us, std::size_t count) {
  for (std::size_t done = 0; done < count; done += 1'000) {
    std::vector<TimeUs> times;
    for (std::size_t i = done; i < std::min(done + 1'000, count); ++i)
      times.push_back(first_us + TimeUs(i));
    harness.produce(times, 1);
  }
}

}  // namespace

TEST_CASE("messages whose time lies ahead are found in the order of their time") {
  PartitionHarness harness(storage::open_memory_shard({}));
  harness.subscribe();
  harness.open();
  const TimeUs now_us = net::wall_time_us();
  harness.run([&] { CHECK_FALSE(harness.partition().due_index().next_due_us_after({})); });
  harness.produce({now_us + 3 * kHour, 0, now_us - kHour, now_us + kHour});
  harness.produce({0, 0});
  harness.produce({now_us + 2 * kHour, now_us + kHour});
  const DueKey one{now_us + kHour, 3}, also_one{now_us + kHour, 7}, two{now_us + 2 * kHour, 6},
      three{now_us + 3 * kHour, 0};
  CHECK(harness.due({}, now_us + kFar) == std::vector<DueKey>{one, also_one, two, three});
  CHECK(harness.due({}, now_us).empty());
  CHECK(harness.due(one, two.at_us) == std::vector<DueKey>{also_one, two});
  CHECK(harness.due({}, now_us + kFar, 2) == std::vector<DueKey>{one, also_one});
  CHECK(harness.due(three, now_us + kFar).empty());
  harness.run([&] {
    const auto& index = harness.partition().due_index();
    CHECK(*index.next_due_us_after({now_us, 0}) <= one.at_us);
    CHECK_FALSE(index.next_due_us_after(three));
    CHECK(index.oldest_delayed() == 0);
  });
}

TEST_CASE("a read in vain is not repeated before a row is due") {
  PartitionHarness harness(storage::open_memory_shard({}));
  harness.subscribe();
  harness.open();
  const TimeUs now_us = net::wall_time_us();
  harness.produce({now_us + 2 * kHour});
  CHECK(harness.due({}, now_us).empty());
  harness.run(
      [&] { CHECK(harness.partition().due_index().next_due_us_after({}) == now_us + 2 * kHour); });
  harness.produce({now_us + kHour});
  harness.run(
      [&] { CHECK(harness.partition().due_index().next_due_us_after({}) == now_us + kHour); });
}

TEST_CASE("rows that everybody has passed go, the others stay") {
  PartitionHarness harness(storage::open_memory_shard({}));
  harness.subscribe();
  harness.open();
  const TimeUs first_us = net::wall_time_us() + kHour;
  produce_delayed(harness, first_us, 20'000);
  CHECK(stored_rows(harness.shard()) == 20'000);
  const DueKey passed{first_us + 14'999, 14'999};
  harness.run([&] { harness.partition().due_passed(passed); });
  CHECK(harness.tick_until(net::wall_time_us(),
                           [&] { return harness.partition().oldest_delayed() > 12'000; }));
  CHECK(harness.tick_until(net::wall_time_us(),
                           [&] { return stored_rows(harness.shard()) == 5'000; }));
  const auto rest = harness.due({}, first_us + kHour);
  REQUIRE(rest.size() == 5'000);
  CHECK(rest.front() == DueKey{first_us + 15'000, 15'000});
  harness.run([&] {
    CHECK(harness.partition().oldest_delayed() <= 15'000);
    CHECK(harness.partition().due_index().removed_to() == passed);
    harness.partition().due_passed({first_us + kHour, 0});
  });
  CHECK(harness.tick_until(net::wall_time_us(),
                           [&] { return harness.partition().oldest_delayed() == kNoOffset; }));
  CHECK(stored_rows(harness.shard()) == 0);
}

TEST_CASE("a row that comes behind what was passed goes as well") {
  PartitionHarness harness(storage::open_memory_shard({}));
  harness.subscribe();
  harness.open();
  const TimeUs now_us = net::wall_time_us();
  harness.produce({now_us + kHour});
  harness.run([&] { harness.partition().due_passed({now_us + 3 * kHour, 0}); });
  CHECK(harness.tick_until(net::wall_time_us(),
                           [&] { return harness.partition().oldest_delayed() == kNoOffset; }));
  harness.produce({now_us + 2 * kHour, now_us + 4 * kHour});
  CHECK(harness.tick_until(now_us, [&] { return stored_rows(harness.shard()) == 1; }));
  CHECK(harness.due({}, now_us + kFar) == std::vector<DueKey>{{now_us + 4 * kHour, 2}});
}

TEST_CASE("without subscriptions rows go when they are due, not before") {
  PartitionHarness harness(storage::open_memory_shard({}));
  harness.open();
  const TimeUs now_us = net::wall_time_us();
  harness.produce({now_us + kHour, now_us + 2 * kHour});
  CHECK(harness.tick_until(now_us + kHour, [&] { return stored_rows(harness.shard()) == 1; }));
  harness.run([&] {
    CHECK(harness.partition().due_index().removed_to() >= DueKey{now_us + kHour, 0});
    CHECK(harness.partition().oldest_delayed() <= 1);
  });
}

TEST_CASE("a deleted topic takes its rows along") {
  PartitionHarness harness(storage::open_memory_shard({}));
  harness.subscribe();
  harness.open();
  produce_delayed(harness, net::wall_time_us() + kHour, 20'000);
  harness.publish(false);
  CHECK(harness.until([&] { return stored_rows(harness.shard()) == 0; }));
}
