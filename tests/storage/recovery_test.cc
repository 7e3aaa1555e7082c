// What a shard holds after it was closed, or killed.
#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/storage/support/child_writer.h"
#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

constexpr std::size_t kSmallGeneration = 8'000;

}  // namespace

TEST_CASE("everything is there after a clean stop, and nothing is replayed") {
  const TempDir directory;
  const ShardOptions options{.directory = directory.path(), .generation_bytes = kSmallGeneration};
  {
    auto shard = open_or_fail(options);
    for (Offset base = 0; base < 100; ++base) {
      REQUIRE(append(*shard, 1, base,
                     {.payload_bytes = 200, .epoch = 3, .append_time_us = TimeUs(base)}) ==
              ErrorCode::kOk);
      if (base % 10 == 0) append(*shard, 2, base / 10);
    }
    WriteGroup group;
    group.puts = {{Table::kMeta, "k", "v"}, {Table::kCursor, "c", "w"}};
    REQUIRE(write(*shard, std::move(group)) == ErrorCode::kOk);
    REQUIRE(shard->advance_start(1, 7));
    REQUIRE(shard->close());
  }
  RecoveryReport report;
  auto shard = open_or_fail(options, nullptr, &report);
  CHECK(report.clean_stop);
  CHECK(report.logs == 2);
  CHECK(report.replayed_batches == 0);
  CHECK(report.data_loss.empty());
  const auto state = shard->log_state(1);
  REQUIRE(state);
  CHECK(state->start_offset == 7);
  CHECK(state->end_offset == 100);
  CHECK(state->last_epoch == 3);
  CHECK(state->last_append_time_us == 99);
  CHECK(state->bytes > 90 * 200);
  CHECK(read_all(*shard, 1, 7, 200) == Offset{100});
  CHECK(read_all(*shard, 2, 0, 20) == Offset{10});
  CHECK(shard->find_time(1, 50) == Offset{50});
  CHECK(shard->get(Table::kMeta, "k").value() == "v");
  CHECK(shard->get(Table::kCursor, "c").value() == "w");
  CHECK(append(*shard, 1, 100, {.payload_bytes = 200}) == ErrorCode::kOk);
  CHECK(read_all(*shard, 1, 7, 200) == Offset{101});
}

TEST_CASE("starts, drops and truncations survive a kill") {
  for (const std::size_t generation : {kSmallGeneration, std::size_t{1} << 20}) {
    CAPTURE(generation);
    const TempDir directory, copies;
    const std::string copy = copies.path() + "/copy";
    {
      auto shard = open_or_fail({.directory = directory.path(), .generation_bytes = generation});
      for (Offset base = 0; base < 100; ++base) {
        for (LogId log = 1; log <= 5; ++log) {
          REQUIRE(append(*shard, log, base + log, {.payload_bytes = 200}) == ErrorCode::kOk);
        }
      }
      REQUIRE(shard->advance_start(1, 50));
      REQUIRE(shard->drop_log(2));
      REQUIRE(shard->truncate(3, 20));
      for (Offset base = 20; base < 30; ++base) {
        REQUIRE(append(*shard, 3, base, {.payload_bytes = 210, .epoch = 5}) == ErrorCode::kOk);
      }
      REQUIRE(shard->advance_start(5, 60));
      REQUIRE(shard->reset_log(5, 3, {}));
      for (Offset base = 3; base < 40; ++base) {
        REQUIRE(append(*shard, 5, base, {.payload_bytes = 220, .epoch = 6}) == ErrorCode::kOk);
      }
      const auto cut = shard->truncate(4, 90);
      if (!cut) FAIL(cut.error().message);
      copy_as_killed(directory.path(), copy);
    }
    RecoveryReport report;
    auto shard =
        open_or_fail({.directory = copy, .generation_bytes = generation}, nullptr, &report);
    CHECK_FALSE(report.clean_stop);
    CHECK(shard->logs() == std::vector<LogId>{1, 3, 4, 5});
    CHECK(shard->log_state(5)->start_offset == 3);
    CHECK(read_all(*shard, 5, 3, 220) == Offset{40});
    CHECK(shard->log_state(1)->start_offset == 50);
    CHECK(read_all(*shard, 1, 50, 200) == Offset{101});
    // The note of a drop goes with the last generation that may hold batches of the log, which may
    // be at any time where generations are small.
    if (generation != kSmallGeneration) CHECK(append(*shard, 2, 102) == ErrorCode::kBadArgument);
    CHECK(shard->log_state(3)->last_epoch == 5);
    CHECK(read_all(*shard, 3, 20, 210) == Offset{30});
    CHECK(shard->log_state(4)->end_offset == 90);
    CHECK(read_all(*shard, 4, 4, 200) == Offset{90});
    CHECK(append(*shard, 4, 90, {.payload_bytes = 200}) == ErrorCode::kOk);
    CHECK(files_in(copy + "/cut", "").size() == 2);
  }
}

TEST_CASE("a cut that has to be planned anew, as generations follow each other, is saved once") {
  const TempDir directory(TempDir::kMemory);
  auto shard = open_or_fail({.directory = directory.path(), .generation_bytes = 3'000});
  std::atomic<bool> stop{false};
  std::thread others([&] {
    for (Offset base = 0; !stop; ++base) append(*shard, 2, base, {.payload_bytes = 500});
  });
  std::size_t cuts = 0;
  Offset end = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 4; ++i)
      CHECK(append(*shard, 1, end++, {.payload_bytes = 300}) == ErrorCode::kOk);
    const auto cut = shard->truncate(1, end - 2);
    if (cut) {
      ++cuts;
      end -= 2;
    } else {
      CHECK(cut.error().code == ErrorCode::kOverloaded);  // again and again in between
    }
  }
  stop = true;
  others.join();
  CHECK(cuts > 0);
  CHECK(files_in(directory.path() + "/cut", "").size() == cuts);
}

TEST_CASE("a log that was cut and began anew in one generation has no rows of its first life") {
  const TempDir directory;
  auto shard = open_or_fail({.directory = directory.path(), .generation_bytes = kSmallGeneration});
  Offset filled = 0;
  const auto fill_generation = [&] {
    for (std::size_t bytes = 0; bytes < 2 * kSmallGeneration; bytes += 500) {
      REQUIRE(append(*shard, 2, filled++, {.payload_bytes = 500}) == ErrorCode::kOk);
    }
  };
  const auto append_to_first = [&](Offset from, Offset to, MainEpoch epoch) {
    for (Offset base = from; base < to; ++base) {
      REQUIRE(append(*shard, 1, base, {.payload_bytes = 20, .epoch = epoch}) == ErrorCode::kOk);
    }
  };
  append_to_first(0, 10, 1);
  fill_generation();
  append_to_first(10, 20, 1);
  REQUIRE(shard->truncate(1, 15));
  REQUIRE(shard->reset_log(1, 0, {}));
  append_to_first(0, 30, 2);
  fill_generation();
  append_to_first(30, 40, 2);
  for (Offset from = 0; from < 40; ++from) {
    CAPTURE(from);
    CHECK(read_all(*shard, 1, from, 20) == Offset{40});
  }
  CHECK(shard->find_size(1, 1 << 20)->from == 0);
}

TEST_CASE("all that was acknowledged is there after kill -9 at random moments") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  const TempDir directory;
  const int kills = long_tests() ? 60 : 6;
  for (int kill = 0; kill < kills; ++kill) {
    CAPTURE(kill);
    std::map<LogId, Offset> acknowledged;
    {
      ChildWriter child(directory.path(), 64'000);
      acknowledged = child.kill_after(random() % 600);
    }
    RecoveryReport report;
    auto shard =
        open_or_fail({.directory = directory.path(), .generation_bytes = 64'000}, nullptr, &report);
    for (const auto& [log, end] : acknowledged) {
      const auto state = shard->log_state(log);
      REQUIRE(state);
      CHECK(state->end_offset >= end);
      CHECK(read_all(*shard, log, 0, kChildPayloadBytes) == state->end_offset);
      // A group is all there, or not at all.
      CHECK(shard->get(Table::kMeta, "end/" + std::to_string(log)).value() ==
            std::to_string(state->end_offset));
    }
    CHECK(shard->close());
  }
}

TEST_CASE("a directory in use, of a newer format, or with a damaged format file is refused") {
  const TempDir directory;
  const ShardOptions options{.directory = directory.path() + "/a/b"};
  auto shard = open_or_fail(options);
  CHECK(open_error(options) == ErrorCode::kDataDirLocked);
  REQUIRE(shard->close());
  CHECK(open_error(options) == ErrorCode::kOk);  // closed is enough
  const std::string format = options.directory + "/FORMAT";
  std::string text;
  {
    std::ifstream in(format);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    std::ofstream(format) << damaged;
    CAPTURE(i);
    CHECK(open_error(options) == ErrorCode::kCorrupt);
  }
  // The second line is the XXH3-64 of the first.
  std::ofstream(format) << "andyx storage format 4\n" << "204e368f65d81e21\nanything else";
  CHECK(open_error(options) == ErrorCode::kDataDirVersion);
  // An older one becomes one of this version, so that no older program opens it again.
  std::ofstream(format) << "andyx storage format 1\n" << "4d78f4e2f019bcb3\n";
  CHECK(open_error(options) == ErrorCode::kOk);
  std::ifstream in(format);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == text);
}

TEST_CASE("generations left by many restarts do not lose or mix batches") {
  const TempDir directory;
  Offset end = 0;
  for (int start = 0; start < 12; ++start) {
    auto shard = open_or_fail({.directory = directory.path(), .generation_bytes = 3'000});
    for (int i = 0; i < start; ++i, ++end) {
      REQUIRE(append(*shard, 1, end, {.payload_bytes = 300}) == ErrorCode::kOk);
    }
    CHECK(read_all(*shard, 1, 0, 300) == end);
  }
}

TEST_CASE("the hardware CRC32C is linked in and used by RocksDB") {
  const TempDir directory;
  auto shard = open_or_fail({.directory = directory.path()});
  const std::uint64_t before = shard->status().crc32c_calls;
  REQUIRE(append(*shard, 1, 0) == ErrorCode::kOk);
  CHECK(shard->status().crc32c_calls > before);
#if defined(__x86_64__)
  CHECK(shard->status().crc32c_hardware == (__builtin_cpu_supports("sse4.2") != 0));
#endif
}
