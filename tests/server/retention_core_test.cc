#include "server/partition/retention_core.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace andyx;
using namespace andyx::server;

namespace {

constexpr TimeUs kSecond = 1'000'000;

// A log of batches of ten messages, and storage's answers about it.
struct Log {
  struct Batch {
    Offset base;
    TimeUs append_time_us;
    std::uint64_t bytes;
  };
  std::vector<Batch> batches;

  Offset end() const { return batches.size() * 10; }
  RetentionCore::TimeFound find_time(TimeUs time_us) const {
    for (const Batch& batch : batches)
      if (batch.append_time_us >= time_us) return {batch.base, batch.append_time_us};
    return {end(), std::nullopt};
  }
  RetentionCore::SizeFound find_size(std::uint64_t max_bytes) const {
    RetentionCore::SizeFound found{end(), 0};
    for (auto it = batches.rbegin(); it != batches.rend(); ++it) {
      if (found.bytes != 0 && found.bytes + it->bytes > max_bytes) break;
      found = {it->base, found.bytes + it->bytes};
    }
    return found;
  }
  RetentionCore::Found answer(const RetentionCore::Look& look) const {
    RetentionCore::Found found;
    if (look.soft_before_us) found.soft = find_time(*look.soft_before_us);
    if (look.hard_before_us) found.hard = find_time(*look.hard_before_us);
    if (look.max_bytes) found.size = find_size(*look.max_bytes);
    return found;
  }
  void append(RetentionCore& core, TimeUs append_time_us, std::uint64_t bytes = 100) {
    batches.push_back({end(), append_time_us, bytes});
    core.appended(end(), append_time_us, bytes);
  }
};

// Looks up what is asked for; whether anything was.
bool tick(RetentionCore& core, const Log& log, TimeUs now_us) {
  core.clock(now_us);
  const auto look = core.look(now_us);
  if (look) core.found(look, log.answer(look));
  return static_cast<bool>(look);
}

}  // namespace

TEST_CASE("without a policy nothing is looked up and nothing goes") {
  RetentionCore core(0);
  Log log;
  log.append(core, 0);
  CHECK_FALSE(core.active());
  CHECK_FALSE(tick(core, log, 1'000 * kSecond));
  CHECK(core.start(kNoOffset) == 0);
}

TEST_CASE("hard retention takes a batch when it is older, and asks no earlier") {
  RetentionCore core(0);
  Log log;
  core.set_policy({.hard_ms = 10'000});
  CHECK(core.active());
  CHECK(tick(core, log, 100 * kSecond));  // once, to know that the log is empty
  CHECK_FALSE(tick(core, log, 101 * kSecond));
  log.append(core, 102 * kSecond);
  log.append(core, 104 * kSecond);
  CHECK_FALSE(tick(core, log, 112 * kSecond));  // just as old, not older
  CHECK(core.start(0) == 0);
  CHECK(tick(core, log, 112 * kSecond + 1));
  CHECK(core.start(0) == 10);  // whatever is needed
  CHECK_FALSE(tick(core, log, 114 * kSecond));
  CHECK(tick(core, log, 114 * kSecond + 1));
  CHECK(core.start(0) == 20);
  CHECK_FALSE(tick(core, log, 900 * kSecond));
}

TEST_CASE("soft retention waits for what is needed, without asking again") {
  RetentionCore core(0);
  Log log;
  core.set_policy({.soft_ms = 1'000});
  for (int i = 0; i < 5; ++i) log.append(core, i * kSecond);
  CHECK(tick(core, log, 5 * kSecond));  // those of 0 to 3 s are older
  CHECK(core.soft_start() == 40);
  CHECK(core.start(0) == 0);
  CHECK(core.start(15) == 15);
  CHECK(core.start(kNoOffset) == 40);
  CHECK_FALSE(tick(core, log, 5 * kSecond));
}

TEST_CASE("a clock that jumps back brings nothing back and deletes nothing early") {
  RetentionCore core(0);
  Log log;
  core.set_policy({.hard_ms = 1'000});
  log.append(core, 100 * kSecond);
  log.append(core, 100 * kSecond);       // the clock went back to 50 s: append times do not
  CHECK(tick(core, log, 50 * kSecond));  // the first look only
  CHECK(core.start(0) == 0);
  CHECK_FALSE(tick(core, log, 101 * kSecond));
  CHECK(tick(core, log, 102 * kSecond));
  CHECK(core.start(0) == 20);
  log.append(core, 102 * kSecond);
  CHECK(tick(core, log, 200 * kSecond));  // the clock jumps ahead
  CHECK(core.start(0) == 30);
  CHECK(tick(core, log, 102 * kSecond));  // and back: what has not gone by then stays
  CHECK(core.start(0) == 20);
}

TEST_CASE("size retention keeps the newest batches that fit, and at least one") {
  RetentionCore core(0);
  Log log;
  core.set_policy({.size_bytes = 250});
  log.append(core, 0);
  CHECK(tick(core, log, 0));  // to count
  log.append(core, 0);
  CHECK_FALSE(tick(core, log, 0));
  CHECK(core.start(0) == 0);
  log.append(core, 0);
  CHECK(tick(core, log, 0));
  CHECK(core.start(0) == 10);
  CHECK_FALSE(tick(core, log, 0));
  log.append(core, 0, 1'000);
  CHECK(tick(core, log, 0));
  CHECK(core.start(0) == 30);
  CHECK_FALSE(tick(core, log, 0));  // not again for the one that is too large
  log.append(core, 0, 10);
  CHECK(tick(core, log, 0));
  CHECK(core.start(0) == 40);
}

TEST_CASE("what is appended while storage is asked is not forgotten") {
  RetentionCore core(0);
  Log log;
  core.set_policy({.hard_ms = 1'000, .size_bytes = 150});
  const auto look = core.look(10 * kSecond);
  REQUIRE(look.hard_before_us);
  REQUIRE(look.max_bytes);
  const auto answer = log.answer(look);  // an empty log
  log.append(core, 10 * kSecond);
  log.append(core, 10 * kSecond);
  core.found(look, answer);
  CHECK(tick(core, log, 10 * kSecond));
  CHECK(core.start(0) == 10);  // by size
  CHECK(tick(core, log, 12 * kSecond));
  CHECK(core.start(0) == 20);  // by time
}

TEST_CASE("a changed policy counts from anew; answers to the old one are ignored") {
  RetentionCore core(0);
  Log log;
  for (int i = 0; i < 5; ++i) log.append(core, i * kSecond);
  core.set_policy({.hard_ms = 1'000});
  const auto look = core.look(10 * kSecond);
  REQUIRE(look);
  core.set_policy({.hard_ms = 8'000});
  core.found(look, log.answer(look));
  CHECK(core.start(0) == 0);
  CHECK(tick(core, log, 10 * kSecond));
  CHECK(core.start(0) == 20);
  core.set_policy({.hard_ms = 8'000});  // the same: nothing new
  CHECK_FALSE(tick(core, log, 10 * kSecond));
  core.set_policy({});
  CHECK_FALSE(core.active());
  CHECK(core.start(0) == 0);
}

TEST_CASE("huge limits delete nothing") {
  RetentionCore core(0);
  Log log;
  log.append(core, 0);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  core.set_policy({.soft_ms = kMax, .hard_ms = kMax / 1'000, .size_bytes = kMax});
  tick(core, log, 1'000'000 * kSecond);
  CHECK(core.start(kNoOffset) == 0);
}

TEST_CASE("whatever comes in between, what goes was old, and what is old goes") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    RetentionCore core(0);
    Log log;
    core.set_policy({.hard_ms = 3'000, .size_bytes = 700});
    TimeUs now_us = 100 * kSecond;
    for (int step = 0; step < 100; ++step) {
      now_us += TimeUs(random() % 1'500'000);
      const auto look = core.look(now_us);
      const bool early = random() % 2 == 0;  // storage answers before what comes next
      RetentionCore::Found answer;
      if (early) answer = log.answer(look);
      for (auto more = random() % 3; more-- > 0;) log.append(core, now_us, 10 + random() % 200);
      if (!early) answer = log.answer(look);
      if (look) core.found(look, answer);
    }
    while (tick(core, log, now_us)) {
    }
    const auto by_time = log.find_time(now_us - 3 * kSecond).offset;
    const auto by_size = log.find_size(700).offset;
    CHECK(core.start(0) == std::max(by_time, by_size));
  }
}
