#include "server/partition/dedup_window.h"

#include <doctest/doctest.h>

#include <vector>

#include "protocol/base/limits.h"
#include "protocol/batch/batch_builder.h"
#include "server/partition/dedup_recover.h"
#include "server/partition/partition_core.h"
#include "tests/storage/support/test_batches.h"

namespace andyx::server {
namespace {

using Ids = std::vector<std::uint64_t>;
using Repeated = std::vector<RepeatedMessage>;

constexpr std::uint32_t kWindowMs = 1'000;
constexpr TimeUs kSecond = 1'000'000;

DedupWindow window_of(std::uint32_t ms = kWindowMs) {
  DedupWindow window;
  window.set_window(ms);
  return window;
}

}  // namespace

TEST_CASE("ids in the window, and twice in a batch, are found; others and none are not") {
  auto window = window_of();
  window.record(Ids{7, 0, 8}, 100, 0);
  CHECK(window.find(Ids{1, 0, 0, 2}).empty());
  CHECK(window.find(Ids{8, 1, 7}) == Repeated{{0, 102}, {2, 100}});
  CHECK(window.find(Ids{1, 2, 1, 1}) == Repeated{{2, kNoOffset}, {3, kNoOffset}});
  CHECK(window.size() == 2);
}

TEST_CASE("an id is forgotten after the window, and when it is switched off") {
  auto window = window_of();
  window.record(Ids{7}, 0, 0);
  window.record(Ids{8}, 1, kSecond / 2);
  window.expire(kSecond - 1);
  CHECK(window.find(Ids{7}).size() == 1);
  window.expire(kSecond);
  CHECK(window.find(Ids{7}).empty());
  CHECK(window.find(Ids{8}).size() == 1);
  window.set_window(0);
  window.set_window(kWindowMs);
  CHECK(window.find(Ids{8}).empty());
}

TEST_CASE("what was rolled back is unknown again") {
  auto window = window_of();
  window.record(Ids{7, 8, 9}, 10, 0);
  window.rollback(11);
  CHECK(window.find(Ids{7, 8, 9}) == Repeated{{0, 10}});
  window.record(Ids{8}, 11, 0);
  CHECK(window.find(Ids{8}) == Repeated{{0, 11}});
}

TEST_CASE("over the bound the oldest ids go") {
  auto window = window_of();
  for (std::uint64_t i = 0; i <= limits::kMaxDedupIdsPerPartition; ++i)
    window.record(Ids{i + 1}, i, 0);
  CHECK(window.size() == limits::kMaxDedupIdsPerPartition);
  CHECK(window.find(Ids{1}).empty());
  CHECK(window.find(Ids{2}).size() == 1);
}

TEST_CASE("a partition refuses a repeated id whole, and takes it again after a rollback") {
  PartitionCore core(1, {});
  core.dedup().set_window(kWindowMs);
  const auto produce = [&](std::uint64_t sequence, const Ids& ids, TimeUs now_us = 0) {
    const batch::Header header{
        .count = static_cast<std::uint32_t>(ids.size()), .producer_id = 5, .sequence = sequence};
    return core.produce(header, 0, now_us, ids).value();
  };
  CHECK(produce(0, {1, 2}).base_offset == 0);
  const auto refused = produce(1, {3, 2});
  CHECK(refused.repeated == Repeated{{1, 1}});
  CHECK(refused.end_offset == 2);  // answered once offset 1 is committed
  CHECK(core.end_offset() == 2);
  CHECK(produce(1, {3}).base_offset == 2);  // the same sequence
  CHECK(produce(0, {1, 2}).duplicate);      // a resent batch is known by its sequence first
  CHECK(produce(2, {0, 9, 9}).repeated == Repeated{{2, kNoOffset}});
  core.durable(2);
  core.append_refused(2, 3);
  CHECK(produce(1, {3}).base_offset == 2);
  CHECK(produce(2, {1}, kSecond).base_offset == 3);  // out of the window
}

TEST_CASE("after a restart the ids of the window are known again, and only they") {
  const auto shard = storage::open_memory_shard({});
  constexpr storage::LogId kLog = 2;
  constexpr TimeUs kNow = 100 * kSecond;
  const auto append = [&](Offset base, TimeUs append_time_us, const Ids& ids) {
    batch::BatchBuilder builder;
    for (const auto id : ids)
      REQUIRE(builder.add({.payload = "x", .time_us = 1, .message_id_hash = id}));
    auto bytes = builder.build({});
    batch::patch_server_fields(bytes.mutable_data(), 1, base, append_time_us);
    storage::WriteGroup group;
    group.appends.push_back({kLog, std::move(bytes)});
    REQUIRE(storage::test::write(*shard, std::move(group)) == ErrorCode::kOk);
  };
  CHECK(recover_dedup(*shard, kLog, kWindowMs, kNow).value().size() == 0);  // no log
  append(0, kNow - 2 * kSecond, {1, 2});
  append(2, kNow - kSecond / 2, {0, 3});
  append(4, kNow - kSecond / 4, {0});
  append(5, kNow, {4, 1});
  const auto window = recover_dedup(*shard, kLog, kWindowMs, kNow).value();
  CHECK(window.on());
  CHECK(window.find(Ids{1, 2, 3, 4}) == Repeated{{0, 6}, {2, 3}, {3, 5}});
  CHECK(recover_dedup(*shard, kLog, 10 * kWindowMs, kNow).value().size() == 5);
  CHECK_FALSE(recover_dedup(*shard, kLog, 0, kNow).value().on());
}

}  // namespace andyx::server
