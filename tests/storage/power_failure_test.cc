// Power failure at every write of a workload: what was acknowledged is there, nothing else has
// holes.
#include <doctest/doctest.h>

#include <atomic>
#include <map>

#include "tests/storage/support/fault_fs.h"
#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

constexpr std::size_t kPayload = 700;
constexpr std::size_t kGeneration = 30'000;
constexpr LogId kLogs = 3;

// What the workload was told; unknown ends of what it was not.
struct Told {
  std::map<LogId, Offset> end;  // acknowledged
  std::map<LogId, Offset> start;
  bool drop_asked = false;
  Offset truncated_to = 0;  // asked for; log 3
  bool truncation_asked = false;
  bool truncation_done = false;
};

void append_group(StorageShard& shard, LogId log, Offset base, Told& told) {
  WriteGroup group;
  group.appends.push_back({log, make_batch(log, base, {.count = 2, .payload_bytes = kPayload})});
  group.puts.push_back({Table::kMeta, "end/" + std::to_string(log), std::to_string(base + 2)});
  if (write(shard, std::move(group)) == ErrorCode::kOk) told.end[log] = base + 2;
}

// Two logs that grow, one of them trimmed; a log that is truncated and grows again; one that is
// dropped.
Told run_workload(StorageShard& shard) {
  Told told;
  for (Offset base = 0; base < 60; base += 2) {
    for (LogId log = 1; log <= kLogs; ++log) append_group(shard, log, base, told);
    append(shard, 9, base, {.count = 2, .payload_bytes = kPayload});
    if (base == 30 && told.end[1] >= 20 && shard.advance_start(1, 20)) told.start[1] = 20;
    if (base == 40) told.drop_asked = shard.drop_log(9).has_value();
  }
  if (told.end[3] == 60) {
    told.truncation_asked = true;
    told.truncation_done = shard.truncate(3, 50).has_value();
    if (told.truncation_done) {
      told.end[3] = 50;
      append_group(shard, 3, 50, told);
    }
  }
  return told;
}

void check_after(StorageShard& shard, const Told& told) {
  for (LogId log = 1; log <= kLogs; ++log) {
    CAPTURE(log);
    const auto found = shard.log_state(log);
    const auto acknowledged = told.end.find(log);
    if (acknowledged != told.end.end() && acknowledged->second > 0) {
      REQUIRE(found);
      const bool may_be_cut = log == 3 && told.truncation_asked && !told.truncation_done;
      CHECK(found->end_offset >= (may_be_cut ? Offset{50} : acknowledged->second));
    }
    if (!found) continue;
    CHECK(read_all(shard, log, found->start_offset, kPayload) == found->end_offset);
    if (log == 3 && told.truncation_asked) continue;  // its state put was not cut
    CHECK(shard.get(Table::kMeta, "end/" + std::to_string(log)).value() ==
          std::to_string(found->end_offset));
  }
  if (const auto dropped = shard.log_state(9)) {
    CHECK(read_all(shard, 9, dropped->start_offset, kPayload) == dropped->end_offset);
  }
}

struct Outcome {
  Told told;
  std::uint64_t operations = 0;
};

Outcome run_and_lose_power(std::uint64_t at, std::uint64_t seed) {
  const TempDir directory(TempDir::kMemory);  // what is durable is for the fault file system to say
  const auto disk = std::make_shared<FaultFileSystem>(directory.path() + "/grave", seed);
  const ShardOptions options{.directory = directory.path() + "/data",
                             .generation_bytes = kGeneration};
  Outcome outcome;
  disk->lose_power_at(at);
  if (auto shard = open_rocksdb_shard(options, disk)) {
    outcome.told = run_workload(**shard);
    outcome.operations = disk->operations();
    shard->reset();
  }
  disk->lose_power();
  for (int start = 0; start < 2; ++start) {  // what recovery did must hold as well
    auto shard = open_rocksdb_shard(options, disk);
    if (!shard) FAIL(shard.error().message);
    check_after(**shard, outcome.told);
    CHECK(append(**shard, 20, start) == ErrorCode::kOk);
    if (start == 0) disk->lose_power_at(disk->operations());
    shard->reset();
    disk->lose_power();
  }
  return outcome;
}

}  // namespace

TEST_CASE("what a failed sync left behind and a start has taken up outlives a power failure") {
  const TempDir directory(TempDir::kMemory);
  const auto disk = std::make_shared<FaultFileSystem>(directory.path() + "/grave", test_seed());
  const ShardOptions options{.directory = directory.path() + "/data",
                             .generation_bytes = kGeneration};
  {
    auto shard = open_or_fail(options, disk);
    for (Offset offset = 0; offset < 5; ++offset)
      REQUIRE(append(*shard, 1, offset, {.payload_bytes = kPayload}) == ErrorCode::kOk);
    disk->fail_syncs(FileKind::kWal, true);
    CHECK(append(*shard, 1, 5, {.payload_bytes = kPayload}) == ErrorCode::kStorageFailed);
    disk->fail_syncs(FileKind::kWal, false);
  }
  Offset end = 0;
  {
    auto shard = open_or_fail(options, disk);
    end = shard->log_state(1)->end_offset;
    CHECK(end == 6);  // it is in the file
    disk->lose_power_at(disk->operations());
  }
  disk->lose_power();
  auto shard = open_or_fail(options, disk);
  CHECK(shard->log_state(1)->end_offset == end);
  CHECK(read_all(*shard, 1, 0, kPayload) == end);
}

TEST_CASE("power failure at any write loses nothing that was acknowledged") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  const std::uint64_t operations = run_and_lose_power(~std::uint64_t{0}, seed).operations;
  REQUIRE(operations > 200);
  const std::uint64_t step = long_tests() ? 1 : std::max<std::uint64_t>(1, operations / 40);
  MESSAGE("writes in the workload: ", operations, ", power lost at every ", step, "th");
  for (std::uint64_t at = seed % step; at < operations; at += step) {
    CAPTURE(at);
    run_and_lose_power(at, seed + at);
  }
}
