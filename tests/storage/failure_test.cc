// Disks that fail, hang, are slow, or full.
#include <doctest/doctest.h>

#include <thread>

#include "tests/storage/support/fault_fs.h"
#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

struct Fixture {
  TempDir directory;
  std::shared_ptr<FaultFileSystem> disk =
      std::make_shared<FaultFileSystem>(directory.path() + "/grave");
  ShardOptions options{.directory = directory.path() + "/data", .generation_bytes = 50'000};

  std::unique_ptr<StorageShard> open() { return open_or_fail(options, disk); }
};

void wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 30'000; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL("waited for 30 s");
}

// A fenced shard refuses everything, and says why.
void check_fenced(StorageShard& shard, const std::string& reason) {
  CHECK(append(shard, 77, 0) == ErrorCode::kStorageFailed);
  CHECK(shard.read(1, 0, 1).error().code == ErrorCode::kStorageFailed);
  CHECK(shard.truncate(1, 0).error().code == ErrorCode::kStorageFailed);
  CHECK(shard.advance_start(1, 0).error().code == ErrorCode::kStorageFailed);
  const ShardStatus status = shard.status();
  CHECK(status.error == ErrorCode::kStorageFailed);
  CHECK(status.state.starts_with("failed: "));
  INFO(status.state);
  CHECK(status.state.find(reason) != std::string::npos);
}

}  // namespace

TEST_CASE("a failed fsync of the WAL fences the shard, and is never tried again") {
  Fixture fixture;
  {
    auto shard = fixture.open();
    REQUIRE(append(*shard, 1, 0) == ErrorCode::kOk);
    fixture.disk->fail_syncs(FileKind::kWal, true);
    CHECK(append(*shard, 1, 1) == ErrorCode::kStorageFailed);
    fixture.disk->fail_syncs(FileKind::kWal, false);
    const std::uint64_t syncs = fixture.disk->syncs(FileKind::kWal);
    check_fenced(*shard, "injected");
    CHECK(fixture.disk->syncs(FileKind::kWal) == syncs);
    CHECK(shard->close().error().code == ErrorCode::kStorageFailed);
  }
  auto shard = fixture.open();
  CHECK(shard->log_state(1)->end_offset >= 1);
  CHECK(read_all(*shard, 1, 0, 20) == shard->log_state(1)->end_offset);
}

TEST_CASE("all groups in flight are answered when the shard is fenced") {
  Fixture fixture;
  auto shard = fixture.open();
  REQUIRE(append(*shard, 1, 0) == ErrorCode::kOk);
  fixture.disk->hang_syncs(FileKind::kWal);
  Recorder recorder;
  std::size_t submitted = 0;
  for (Offset base = 1; base <= 100; ++base) {
    WriteGroup group{.token = base};
    group.appends.push_back({1, make_batch(1, base)});
    if (shard->submit(std::move(group), recorder)) ++submitted;
  }
  fixture.disk->wait_until_hanging();
  fixture.disk->fail_syncs(FileKind::kWal, true);
  CHECK(recorder.results().empty());
  fixture.disk->release();
  const auto results = recorder.wait(submitted);
  CHECK(results.size() == 100);
  for (const WriteResult& result : results) CHECK(result.error == ErrorCode::kStorageFailed);
  CHECK(shard->log_state(1)->end_offset == 1);
}

TEST_CASE("a failing write, table or watermark fences the shard") {
  for (const FileKind kind : {FileKind::kWal, FileKind::kTable, FileKind::kWatermark}) {
    CAPTURE(static_cast<int>(kind));
    Fixture fixture;
    {
      auto shard = fixture.open();
      REQUIRE(append(*shard, 1, 0) == ErrorCode::kOk);
      fixture.disk->fail_writes(kind,
                                rocksdb::IOStatus::NoSpace("No space left on device (injected)"));
      ErrorCode code = ErrorCode::kOk;
      for (Offset base = 1; base < 5'000 && code == ErrorCode::kOk; ++base) {
        code = append(*shard, 1, base, {.payload_bytes = 5'000});
      }
      CHECK(code == ErrorCode::kStorageFailed);
      check_fenced(*shard, "No space left");
    }
    fixture.disk->fail_writes(kind, std::nullopt);
    auto shard = fixture.open();
    CHECK(append(*shard, 2, 0) == ErrorCode::kOk);
  }
}

TEST_CASE("a slow fsync delays the acknowledgement") {
  Fixture fixture;
  auto shard = fixture.open();
  fixture.disk->hang_syncs(FileKind::kWal);
  Recorder recorder;
  WriteGroup group;
  group.appends.push_back({1, make_batch(1, 0)});
  REQUIRE(shard->submit(std::move(group), recorder));
  fixture.disk->wait_until_hanging();
  CHECK(recorder.results().empty());
  CHECK_FALSE(shard->log_state(1));
  CHECK(shard->read(1, 0, 1)->empty());
  CHECK(shard->status().sync_running_us > 0);
  fixture.disk->release();
  CHECK(recorder.wait(1).front().error == ErrorCode::kOk);
  CHECK(shard->log_state(1)->end_offset == 1);
}

TEST_CASE("a hung fsync fences the shard; what the disk does later is ignored") {
  Fixture fixture;
  fixture.options.hung_sync_ms = 30;
  auto shard = fixture.open();
  fixture.options.hung_sync_ms = 10'000;
  Recorder recorder;
  fixture.disk->hang_syncs(FileKind::kWal);
  for (Offset base = 0; base < 10; ++base) {
    WriteGroup group{.token = base};
    group.appends.push_back({1, make_batch(1, base)});
    const bool submitted = shard->submit(std::move(group), recorder).has_value();
    REQUIRE(submitted);
    if (base == 0) fixture.disk->wait_until_hanging();
  }
  const auto results = recorder.wait(10);
  for (std::uint64_t i = 0; i < 10; ++i) {
    CHECK(results[i].token == i);
    CHECK(results[i].error == ErrorCode::kStorageFailed);
  }
  check_fenced(*shard, "hanging");
  SUBCASE("released before it is closed") {
    fixture.disk->release();
    CHECK(shard->close().error().code == ErrorCode::kStorageFailed);
  }
  SUBCASE("released after it is closed") {
    CHECK(shard->close().error().code == ErrorCode::kStorageFailed);
    fixture.disk->release();
  }
  CHECK(recorder.results().size() == 10);
  CHECK_FALSE(shard->log_state(1));
  shard.reset();
  wait_until([&] {  // the lock goes with the last thread
    return open_rocksdb_shard(fixture.options, fixture.disk).has_value();
  });
}

TEST_CASE("a hung flush holds writes back, and in the end fences the shard") {
  Fixture fixture;
  fixture.options.hung_sync_ms = 200;
  fixture.options.queue_bytes = 20'000;
  auto shard = fixture.open();
  fixture.disk->hang_syncs(FileKind::kTable);
  Recorder recorder;
  Offset next = 0;
  ErrorCode code = ErrorCode::kOk;
  bool held_back = false;
  wait_until([&] {
    WriteGroup group{.token = next};
    group.appends.push_back({1, make_batch(1, next, {.payload_bytes = 4'000})});
    const Status submitted = shard->submit(std::move(group), recorder);
    if (submitted) ++next;
    code = submitted ? ErrorCode::kOk : submitted.error().code;
    held_back = held_back || code == ErrorCode::kOverloaded;
    return code == ErrorCode::kStorageFailed;
  });
  CHECK(held_back);
  CHECK(shard->status().state.find("flush") != std::string::npos);
  CHECK(recorder.wait(next).back().error == ErrorCode::kStorageFailed);
  fixture.disk->release();
  CHECK_FALSE(shard->close());
}

TEST_CASE("a nearly full disk refuses appends, serves reads, and recovers by itself") {
  Fixture fixture;
  fixture.options.min_free_bytes = 1'000'000;
  auto shard = fixture.open();
  REQUIRE(append(*shard, 1, 0) == ErrorCode::kOk);
  fixture.disk->set_free_bytes(900'000);
  wait_until([&] { return shard->status().error == ErrorCode::kDiskFull; });
  CHECK(shard->status().state == "disk full");
  CHECK(append(*shard, 1, 1) == ErrorCode::kDiskFull);
  CHECK(read_all(*shard, 1, 0, 20) == Offset{1});
  // What answers consumers may use the reserve, until half of it is gone.
  const auto answer = [&] {
    WriteGroup group{.may_use_reserve = true};
    group.appends.push_back(
        {2, make_batch(2, shard->log_state(2) ? shard->log_state(2)->end_offset : 0)});
    return write(*shard, std::move(group));
  };
  CHECK(answer() == ErrorCode::kOk);
  WriteGroup state;
  state.puts = {{Table::kCursor, "k", "v"}};
  CHECK(write(*shard, std::move(state)) == ErrorCode::kOk);
  fixture.disk->set_free_bytes(400'000);
  wait_until([&] { return answer() == ErrorCode::kDiskFull; });
  CHECK(read_all(*shard, 1, 0, 20) == Offset{1});
  fixture.disk->set_free_bytes(std::nullopt);
  wait_until([&] { return shard->status().state == "serving"; });
  CHECK(append(*shard, 1, 1) == ErrorCode::kOk);
}

TEST_CASE("without fsync nothing is synced for an acknowledgement, and kill -9 loses nothing") {
  Fixture fixture;
  fixture.options.fsync = false;
  auto shard = fixture.open();
  const std::uint64_t before = fixture.disk->syncs(FileKind::kWal);
  for (Offset base = 0; base < 50; ++base) REQUIRE(append(*shard, 1, base) == ErrorCode::kOk);
  CHECK(fixture.disk->syncs(FileKind::kWal) == before);
  CHECK_FALSE(shard->status().fsync);
  const std::string copy = fixture.directory.path() + "/copy";
  copy_as_killed(fixture.options.directory, copy);
  auto killed = open_or_fail({.directory = copy, .fsync = false});
  CHECK(read_all(*killed, 1, 0, 20) == Offset{50});
}
