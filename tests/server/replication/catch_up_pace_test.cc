// The pace of catching up, against a model of a disk that producers and a catch-up share.
#include "server/replication/catch_up_pace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <utility>

using namespace andyx;
using namespace andyx::server;

namespace {

constexpr std::uint64_t kMs = 1'000;
constexpr std::uint64_t kSecond = 1'000 * kMs;
constexpr double kMiB = limits::kMiB;
constexpr double kFloor = limits::kMinCatchUpBytesPerSecond;

// Does what was asked of it first first, at a steady speed, and a sync on top of each write.
class Disk {
 public:
  explicit Disk(double bytes_per_s) : bytes_per_s_(bytes_per_s) {}

  // When it is done.
  std::uint64_t add(double bytes, std::uint64_t now_us) {
    free_us_ = std::max(free_us_, static_cast<double>(now_us)) + bytes * 1e6 / bytes_per_s_;
    return static_cast<std::uint64_t>(free_us_) + kSyncUs;
  }
  static constexpr std::uint64_t kSyncUs = 1 * kMs;

 private:
  double bytes_per_s_;
  double free_us_ = 0;
};

struct Machine {
  explicit Machine(double disk_bytes_per_s) : disk(disk_bytes_per_s) {}

  double produced_per_s = 0;  // bytes, one write every kWriteUs; 0: nobody writes
  double grows_per_s = 0;     // the logs that are behind
  bool catches_up = false;
  bool unpaced = false;  // as without a pace: four reads under way, always

  struct Outcome {
    double caught_up_per_s = 0, mean_age_us = 0, oldest_us = 0;
  };

  Outcome run(std::uint64_t for_us) {
    Outcome outcome;
    double taken = 0, ages = 0;
    std::uint64_t ended = 0;
    for (const std::uint64_t end = now + for_us; now < end; now += kMs) {
      while (!writes.empty() && writes.front().done_us <= now) {
        const auto age = static_cast<double>(now - writes.front().since_us);
        pace.wrote(now - writes.front().since_us, now);
        ages += age;
        outcome.oldest_us = std::max(outcome.oldest_us, age);
        ++ended;
        writes.pop_front();
      }
      if (produced_per_s > 0 && now % kWriteUs == 0)
        writes.push_back({now, disk.add(produced_per_s * kWriteUs / kSecond, now)});
      if (!writes.empty() && now % (20 * kMs) == 0) pace.waits(now - writes.front().since_us, now);
      std::erase_if(reads, [&](std::uint64_t done_us) { return done_us <= now; });
      while (catches_up && reads.size() < 4 && (unpaced || pace.take(limits::kMiB, now))) {
        reads.push_back(disk.add(kMiB, now));
        taken += kMiB;
        pace.grew(static_cast<std::uint64_t>(grows_per_s * to_grow_s()));
      }
    }
    const double seconds = static_cast<double>(for_us) / kSecond;
    outcome.caught_up_per_s = taken / seconds;
    outcome.mean_age_us = ended == 0 ? 0 : ages / static_cast<double>(ended);
    return outcome;
  }

  double to_grow_s() { return static_cast<double>(now - std::exchange(grown_us, now)) / kSecond; }

  struct Write {
    std::uint64_t since_us = 0, done_us = 0;
  };
  static constexpr std::uint64_t kWriteUs = 10 * kMs;
  CatchUpPace pace;
  Disk disk;
  std::uint64_t now = kSecond, grown_us = kSecond;
  std::deque<Write> writes;
  std::deque<std::uint64_t> reads;
};

}  // namespace

TEST_CASE("a catch-up takes what producers leave of the disk, and their writes stay quick") {
  Machine machine(100 * kMiB);
  machine.produced_per_s = 20 * kMiB;
  const auto alone = machine.run(20 * kSecond);
  machine.catches_up = true;
  machine.run(20 * kSecond);  // it finds its pace
  const auto beside = machine.run(60 * kSecond);
  INFO("alone ", alone.mean_age_us, " us, beside ", beside.mean_age_us, " us, ",
       beside.caught_up_per_s / kMiB, " MiB/s");
  CHECK(beside.mean_age_us <= 2 * static_cast<double>(CatchUpPace::kFastUs));
  CHECK(beside.caught_up_per_s > 30 * kMiB);
  CHECK(beside.caught_up_per_s < 80 * kMiB);

  // The model does show what the pace is for.
  Machine without(100 * kMiB);
  without.produced_per_s = 20 * kMiB;
  without.catches_up = without.unpaced = true;
  CHECK(without.run(20 * kSecond).mean_age_us > 3 * beside.mean_age_us);
}

TEST_CASE("nobody writes: there is no limit, and soon again none when producers have stopped") {
  Machine machine(100 * kMiB);
  machine.catches_up = true;
  CHECK(machine.run(5 * kSecond).caught_up_per_s > 95 * kMiB);
  CHECK(!machine.pace.limit(machine.now));

  machine.produced_per_s = 50 * kMiB;
  machine.run(20 * kSecond);
  CHECK(machine.pace.limit(machine.now));
  machine.produced_per_s = 0;
  machine.run(CatchUpPace::kNobodyWritesUs + kSecond);
  CHECK(!machine.pace.limit(machine.now));
  CHECK(machine.run(5 * kSecond).caught_up_per_s > 95 * kMiB);
}

TEST_CASE("on a disk that is too slow for everybody the floor stays, and no more than that") {
  Machine machine(25 * kMiB);
  machine.produced_per_s = 20 * kMiB;
  machine.run(20 * kSecond);
  machine.catches_up = true;
  const auto beside = machine.run(30 * kSecond);
  CHECK(beside.caught_up_per_s >= 0.9 * std::min(kFloor, 5 * kMiB));
  CHECK(beside.caught_up_per_s <= 1.2 * kFloor);
}

TEST_CASE("the floor lies above what the logs grow by meanwhile: a catch-up ends") {
  Machine machine(60 * kMiB);
  machine.produced_per_s = 25 * kMiB;
  machine.grows_per_s = 25 * kMiB;
  machine.run(20 * kSecond);
  machine.catches_up = true;
  machine.run(30 * kSecond);
  CHECK(machine.run(30 * kSecond).caught_up_per_s > 1.2 * machine.grows_per_s);
  CHECK(*machine.pace.limit(machine.now) >= kFloor + 1.4 * machine.grows_per_s);
}

TEST_CASE("a catch-up begins at the floor, whatever the one before had reached") {
  Machine machine(400 * kMiB);
  machine.produced_per_s = 10 * kMiB;
  machine.run(20 * kSecond);
  machine.catches_up = true;
  machine.run(20 * kSecond);
  CHECK(static_cast<double>(*machine.pace.limit(machine.now)) > 100 * kMiB);
  machine.catches_up = false;
  machine.run(CatchUpPace::kEndedUs + kSecond);
  CHECK(static_cast<double>(*machine.pace.limit(machine.now)) == doctest::Approx(kFloor));
}

TEST_CASE("writes that do not end at all shrink the budget as slow ones do") {
  CatchUpPace pace;
  std::uint64_t now = kSecond;
  for (; now < 10 * kSecond; now += 10 * kMs) pace.wrote(1 * kMs, now);
  for (; now < 20 * kSecond; now += 10 * kMs) {
    pace.wrote(1 * kMs, now);
    while (pace.take(limits::kMiB, now)) {
    }
  }
  CHECK(static_cast<double>(*pace.limit(now)) > 10 * kFloor);
  for (const std::uint64_t hung = now; now < hung + 20 * kSecond; now += 20 * kMs) {
    pace.waits(now - hung, now);
    while (pace.take(limits::kMiB, now)) {
    }
  }
  CHECK(static_cast<double>(*pace.limit(now)) == doctest::Approx(kFloor));
}

TEST_CASE("what is usual is learnt: a slow disk is no reason to stand still") {
  Machine machine(1'000 * kMiB);
  machine.produced_per_s = 20 * kMiB;
  const auto slow_disk = [&](bool catches_up) {
    CatchUpPace pace;
    std::uint64_t now = kSecond;
    for (; now < 30 * kSecond; now += 10 * kMs) pace.wrote(50 * kMs, now);
    for (; catches_up && now < 60 * kSecond; now += 10 * kMs) {
      pace.wrote(60 * kMs, now);
      while (pace.take(limits::kMiB, now)) {
      }
    }
    return static_cast<double>(*pace.limit(now));
  };
  CHECK(slow_disk(false) == doctest::Approx(kFloor));
  CHECK(slow_disk(true) > 10 * kFloor);
}

TEST_CASE("what was not used is given back, and many logs get smaller shares") {
  CatchUpPace pace;
  std::uint64_t now = kSecond;
  pace.wrote(1 * kMs, now);
  CHECK(pace.share(1, limits::kMiB, now) == limits::kMiB);
  const auto of_many = pace.share(1'000, limits::kMiB, now);
  CHECK(of_many == limits::kMinCatchUpBytesPerSecond * 10 / 1'000);
  CHECK(pace.share(1'000'000, limits::kMiB, now) == 16 * limits::kKiB);

  CHECK(!pace.take(limits::kMiB, now));  // nothing yet
  now += 10 * kMs;
  pace.wrote(1 * kMs, now);
  CHECK(pace.take(limits::kMiB, now));
  CHECK(!pace.take(limits::kMiB, now));  // in advance: until it is paid for
  pace.give_back(limits::kMiB);
  CHECK(pace.take(limits::kMiB, now));
}
