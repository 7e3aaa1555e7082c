#include <doctest/doctest.h>

#include "protocol/batch/batch_builder.h"
#include "server/log_ids.h"
#include "server/metadata/memory_metadata_log.h"
#include "storage/storage_shard.h"
#include "tests/server/metadata_log_conformance.h"

namespace andyx::server::test {
namespace {

TEST_CASE("the log in a storage shard keeps the contract") {
  const auto shard = storage::open_memory_shard({});
  check_metadata_log_conformance([&] {
    auto log = open_local_metadata_log(*shard);
    REQUIRE_MESSAGE(log.has_value(), log.error().message);
    return std::move(*log);
  });
}

TEST_CASE("the log in memory keeps the contract") {
  const auto store = std::make_shared<MemoryMetadataStore>();
  check_metadata_log_conformance([&] { return open_memory_metadata_log(store); });
}

// A shard whose metadata log holds two entries, appended one after the other.
std::unique_ptr<storage::StorageShard> shard_with_entries() {
  auto shard = storage::open_memory_shard({});
  const auto log = open_local_metadata_log(*shard);
  REQUIRE(log);
  BlockingLog blocking(**log);
  const auto epoch = blocking.campaign();
  REQUIRE(blocking.append(0, *epoch, {entry("entry zero")}).outcome == AppendOutcome::kOk);
  REQUIRE(blocking.append(1, *epoch, {entry("entry one")}).outcome == AppendOutcome::kOk);
  return shard;
}

ErrorCode code_of_open(storage::StorageShard& shard) {
  const auto log = open_local_metadata_log(shard);
  return log ? ErrorCode::kOk : log.error().code;
}

void write(storage::StorageShard& shard, storage::WriteGroup group) {
  class Written final : public storage::WriteObserver {
   public:
    void on_written(std::vector<storage::WriteResult> results) override {
      promise_.set_value(results.front().error);
    }
    std::promise<ErrorCode> promise_;
  };
  Written written;
  auto answer = written.promise_.get_future();
  REQUIRE(shard.submit(std::move(group), written));
  REQUIRE(answer.get() == ErrorCode::kOk);
}

TEST_CASE("a log that lost acknowledged entries is not opened") {
  const auto shard = shard_with_entries();
  REQUIRE(code_of_open(*shard) == ErrorCode::kOk);
  REQUIRE(shard->truncate(kMetadataLog, 1));
  CHECK(code_of_open(*shard) == ErrorCode::kDataLoss);
}

TEST_CASE("a log whose last entry is another than was written is not opened") {
  const auto shard = shard_with_entries();
  REQUIRE(shard->truncate(kMetadataLog, 1));
  batch::BatchBuilder builder;
  REQUIRE(builder.add({.payload = "another one"}));
  SharedBytes bytes = builder.build({});
  batch::patch_server_fields(bytes.mutable_data(), 1, 1,
                             shard->log_state(kMetadataLog)->last_append_time_us);
  storage::WriteGroup group;
  group.appends.push_back({kMetadataLog, bytes});
  write(*shard, std::move(group));
  CHECK(code_of_open(*shard) == ErrorCode::kCorrupt);
}

TEST_CASE("an epoch that went back is not followed") {
  const auto shard = shard_with_entries();
  storage::WriteGroup group;
  group.puts.push_back({storage::Table::kMeta, "metadata/epoch", std::nullopt});
  write(*shard, std::move(group));
  CHECK(code_of_open(*shard) == ErrorCode::kDataLoss);
}

TEST_CASE("a damaged stored snapshot is refused") {
  const auto shard = shard_with_entries();
  {
    const auto log = open_local_metadata_log(*shard);
    REQUIRE(BlockingLog(**log).put_snapshot(2, "the image"));
  }
  REQUIRE(code_of_open(*shard) == ErrorCode::kOk);
  auto value = **shard->get(storage::Table::kMeta, "metadata/snapshot");
  value.back() ^= 1;
  storage::WriteGroup group;
  group.puts.push_back({storage::Table::kMeta, "metadata/snapshot", value});
  write(*shard, std::move(group));
  CHECK(code_of_open(*shard) == ErrorCode::kCorrupt);
}

TEST_CASE("closing the log answers every call exactly once") {
  const auto shard = shard_with_entries();
  auto log = open_local_metadata_log(*shard);
  REQUIRE(log);
  std::atomic<int> answered = 0;
  for (int i = 0; i < 500; ++i) (*log)->tail([&](const Result<Position>&) { ++answered; });
  log->reset();
  CHECK(answered == 500);
}

TEST_CASE("a shard that is closed gives errors, and nothing is taken for written") {
  const auto shard = shard_with_entries();
  const auto log = open_local_metadata_log(*shard);
  REQUIRE(log);
  BlockingLog blocking(**log);
  const auto epoch = blocking.campaign();
  REQUIRE(shard->close());
  CHECK(blocking.append(2, *epoch, {entry("too late")}).outcome == AppendOutcome::kNotApplied);
  CHECK_FALSE(blocking.campaign());
  CHECK_FALSE(blocking.put_snapshot(2, "too late"));
}

}  // namespace
}  // namespace andyx::server::test
