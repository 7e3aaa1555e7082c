// Due index and retention over restarts, on RocksDB.
#include <doctest/doctest.h>

#include "server/app/data_directory.h"
#include "server/log_ids.h"
#include "server/partition/due_row.h"
#include "storage/rocksdb_shard.h"
#include "tests/server/partition_harness.h"
#include "tests/storage/support/test_batches.h"

using namespace andyx;
using namespace andyx::server;
using storage::test::TempDir;

namespace {

constexpr TimeUs kHour = 3'600'000'000;
constexpr std::size_t kRows = 100'000;  // more than one job counts

std::unique_ptr<storage::StorageShard> open_shard(const TempDir& directory) {
  auto shard = storage::open_rocksdb_shard(
      {.directory = directory.path(), .fsync = false, .generation_bytes = 1 << 20});
  REQUIRE(shard);
  return std::move(*shard);
}

void produce_delayed(PartitionHarness& harness, TimeUs first_us) {
  for (std::size_t done = 0; done < kRows; done += 10'000) {
    std::vector<TimeUs> times;
    for (std::size_t i = done; i < done + 10'000; ++i) times.push_back(first_us + TimeUs(i));
    harness.produce(times, 1);
  }
}

std::size_t stored_rows(storage::StorageShard& shard) {
  std::size_t rows = 0;
  CHECK(shard.scan(storage::Table::kCursor, due_prefix(kPartition),
                   [&](std::string_view, std::string_view) { return ++rows > 0; }));
  return rows;
}

}  // namespace

TEST_CASE("after a restart the rows are read at once, and hold retention until they are counted") {
  const TempDir directory;
  const TimeUs first_us = net::wall_time_us() + kHour;
  const DueKey passed{first_us + 49'999, 49'999};
  {
    PartitionHarness harness(open_shard(directory));
    harness.subscribe();
    harness.open();
    produce_delayed(harness, first_us);
    harness.run([&] { harness.partition().due_passed(passed); });
    CHECK(harness.tick_until(net::wall_time_us(),
                             [&] { return stored_rows(harness.shard()) == kRows - 50'000; }));
  }
  PartitionHarness harness(open_shard(directory));
  harness.subscribe();
  harness.open();
  CHECK(harness.due(passed, first_us + kHour, 1) ==
        std::vector<DueKey>{{first_us + 50'000, 50'000}});
  harness.run([&] {
    CHECK(harness.partition().due_index().removed_to() == passed);
    CHECK(harness.partition().oldest_delayed() <= 50'000);
  });
  CHECK(harness.tick_until(first_us - kHour,
                           [&] { return harness.partition().oldest_delayed() == 50'000; }));
  harness.run([&] { harness.partition().due_passed({first_us + kHour, 0}); });
  CHECK(harness.tick_until(net::wall_time_us(),
                           [&] { return harness.partition().oldest_delayed() == kNoOffset; }));
  CHECK(stored_rows(harness.shard()) == 0);
}

TEST_CASE("what retention has deleted stays deleted, for subscriptions as well") {
  const TempDir directory;
  {
    PartitionHarness harness(open_shard(directory));
    harness.topic().effective.retention.hard_ms = 1'000;
    harness.subscribe();
    harness.open();
    REQUIRE(harness.until([&] { return harness.subscription().ready(); }));
    for (int i = 0; i < 20; ++i) harness.produce({0, 0}, 200'000);  // several generations
    CHECK(harness.tick_until(net::wall_time_us() + kHour, [&] { return harness.start() == 40; }));
    CHECK(harness.until([&] { return harness.partition().cursor_log().idle(); }));
  }
  PartitionHarness harness(open_shard(directory));
  harness.subscribe();
  harness.open();
  harness.run([&] {
    CHECK(harness.start() == 40);
    CHECK(harness.end() == 40);
    CHECK(harness.subscription().core().floor() == 40);
  });
  // What was written since the last generation was cut may still lie there.
  CHECK(harness.until([&] { return harness.shard().status().disk_bytes < 6'000'000; }));
}

TEST_CASE("rows of a topic that was deleted just before the node stopped go at the next start") {
  const TempDir directory;
  {
    PartitionHarness harness(open_shard(directory));
    harness.open();
    produce_delayed(harness, net::wall_time_us() + kHour);
  }
  const auto shard = open_shard(directory);
  CHECK(stored_rows(*shard) == kRows);
  Image image;
  Topic topic;
  topic.id = 1;
  topic.name = *TopicName::parse("a");
  topic.set_partitions({{.partition_id = kPartition, .replicas = {}, .in_sync = {}}});
  image.topics.put(std::make_shared<const Topic>(topic));
  drop_orphan_due_rows(*shard, image);
  CHECK(stored_rows(*shard) == kRows);
  drop_orphan_due_rows(*shard, Image{});
  CHECK(stored_rows(*shard) == 0);
}

TEST_CASE(
    "rows above the end of a log that was cut go, and later messages come at their own time") {
  const TempDir directory;
  const TimeUs soon_us = net::wall_time_us() + kHour;
  const TimeUs later_us = soon_us + kHour;
  {
    PartitionHarness harness(open_shard(directory));
    harness.open();
    harness.produce({soon_us, soon_us + 1}, 1);
    harness.produce({soon_us + 2, soon_us + 3}, 1);
  }
  auto shard = open_shard(directory);
  SUBCASE("a part of the log is lost") { REQUIRE(shard->truncate(data_log(kPartition), 2)); }
  SUBCASE("all of the log is lost") { REQUIRE(shard->truncate(data_log(kPartition), 0)); }
  const Offset end = shard->log_state(data_log(kPartition))->end_offset;
  REQUIRE(stored_rows(*shard) == 4);
  REQUIRE(drop_lost_due_rows(*shard));
  CHECK(stored_rows(*shard) == end);

  PartitionHarness harness(std::move(shard));
  harness.open();
  harness.produce({later_us, later_us, later_us}, 1);
  std::vector<DueKey> expected;
  if (end > 0) expected = {{soon_us, 0}, {soon_us + 1, 1}};
  CHECK(harness.due({}, later_us - 1) == expected);
  for (Offset offset = end; offset < end + 3; ++offset) expected.push_back({later_us, offset});
  CHECK(harness.due({}, later_us) == expected);
}
