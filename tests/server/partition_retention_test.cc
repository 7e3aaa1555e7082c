// Retention of a partition on its loop, by the test's own clock.
#include <doctest/doctest.h>

#include <optional>

#include "tests/server/partition_harness.h"

using namespace andyx;
using namespace andyx::server;

namespace {

constexpr TimeUs kHour = 3'600'000'000;
constexpr std::int64_t kHourMs = 3'600'000;

struct Running {
  PartitionHarness harness{storage::open_memory_shard({})};
  TimeUs now_us = net::wall_time_us();

  Running(const RetentionPolicy& policy, bool subscribed) {
    harness.topic().effective.retention = policy;
    if (subscribed) harness.subscribe();
    harness.open();
    if (subscribed) REQUIRE(harness.until([&] { return harness.subscription().ready(); }));
  }
  // Ten batches of three messages.
  void produce() {
    for (int i = 0; i < 10; ++i) harness.produce({0, 0, 0});
  }
  bool starts_at(Offset offset, TimeUs at_us) {
    return harness.tick_until(at_us, [&] { return harness.start() == offset; });
  }
  // Nothing more goes, however often it is looked at.
  void stays_at(Offset offset, TimeUs at_us) {
    for (int i = 0; i < 10; ++i) {
      harness.tick(at_us);
      std::promise<void> looked;  // behind what the tick has handed to the read pool
      harness.run([&] {
        harness.partition().bytes_from(offset, [&](const auto&) { looked.set_value(); });
      });
      looked.get_future().wait();
      harness.run([&] { CHECK(harness.start() == offset); });
    }
  }
  void answer_below(Offset offset) {
    harness.run([&] {
      REQUIRE(harness.subscription().core().reset(offset));
      harness.partition().cursor_log().changed(kSubscription, {});
    });
  }
};

}  // namespace

TEST_CASE("hard retention deletes what is old, answered or not, and consumers go on behind it") {
  Running running({.hard_ms = kHourMs}, true);
  auto& harness = running.harness;
  running.produce();
  running.stays_at(0, running.now_us + kHour / 2);
  REQUIRE(running.starts_at(30, running.now_us + 2 * kHour));
  CHECK(harness.shard().log_state(data_log(kPartition))->start_offset == 30);
  harness.run([&] {
    CHECK(harness.subscription().core().floor() == 30);
    CHECK(harness.partition().cached(29) == nullptr);
  });
  harness.produce({0, 0});
  std::promise<Offset> first;
  harness.run([&] {
    harness.partition().fetch(12, 1, [&](Result<std::vector<SharedBytes>> read) {
      first.set_value(read && !read->empty() ? batch::read_header(read->front().span())->base_offset
                                             : kNoOffset);
    });
  });
  CHECK(first.get_future().get() == 30);
}

TEST_CASE("soft retention goes as far as every subscription has answered") {
  Running running({.soft_ms = kHourMs}, true);
  running.produce();
  const TimeUs later_us = running.now_us + 2 * kHour;
  running.stays_at(0, later_us);
  running.answer_below(14);
  CHECK(running.starts_at(14, later_us));
  running.stays_at(14, later_us);
  running.answer_below(30);
  CHECK(running.starts_at(30, later_us));
}

TEST_CASE("soft retention of a topic without subscriptions goes by time alone") {
  Running running({.soft_ms = kHourMs}, false);
  running.produce();
  running.stays_at(0, running.now_us + kHour / 2);
  CHECK(running.starts_at(30, running.now_us + 2 * kHour));
}

TEST_CASE("soft retention keeps a delayed message until its row has gone, hard does not") {
  Running running({.soft_ms = kHourMs}, true);
  auto& harness = running.harness;
  const TimeUs later_us = running.now_us + 2 * kHour;
  running.produce();
  harness.produce({0, later_us + kHour, 0});
  running.produce();
  running.answer_below(63);
  CHECK(running.starts_at(31, later_us));
  running.stays_at(31, later_us);
  SUBCASE("it is due and passed") {
    harness.run([&] { harness.partition().due_passed({later_us + kHour, 31}); });
  }
  SUBCASE("hard retention") {
    harness.topic().effective.retention.hard_ms = kHourMs;
    harness.publish();
  }
  CHECK(running.starts_at(63, later_us));
}

TEST_CASE("size retention deletes the oldest batches over the limit") {
  Running running({}, true);
  auto& harness = running.harness;
  running.produce();
  const std::uint64_t batch_bytes = harness.shard().log_state(data_log(kPartition))->bytes / 10;
  running.stays_at(0, running.now_us);
  harness.topic().effective.retention.size_bytes = static_cast<std::int64_t>(4 * batch_bytes + 1);
  harness.publish();
  CHECK(running.starts_at(18, running.now_us));
  harness.produce({0, 0, 0});
  CHECK(running.starts_at(21, running.now_us));
  CHECK(harness.shard().log_state(data_log(kPartition))->bytes <= 4 * batch_bytes + 1);
  harness.topic().effective.retention.size_bytes = 1;
  harness.publish();
  CHECK(running.starts_at(30, running.now_us));  // the newest stays
}

TEST_CASE("how old and how much lies behind an offset") {
  Running running({}, false);
  auto& harness = running.harness;
  running.produce();
  std::promise<Result<TimeUs>> age;
  std::promise<Result<std::uint64_t>> bytes;
  harness.run([&] {
    harness.partition().age_of(4, [&](const auto& found) { age.set_value(found); });
    harness.partition().bytes_from(15, [&](const auto& found) { bytes.set_value(found); });
  });
  const auto appended_us = age.get_future().get();
  REQUIRE(appended_us);
  CHECK(*appended_us >= running.now_us);
  CHECK(bytes.get_future().get() == harness.shard().log_state(data_log(kPartition))->bytes / 2);
  std::promise<Result<TimeUs>> none;
  harness.run(
      [&] { harness.partition().age_of(30, [&](const auto& found) { none.set_value(found); }); });
  CHECK(none.get_future().get().error().code == ErrorCode::kOffsetOutOfRange);
}
