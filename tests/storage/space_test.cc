// Bytes on the disk: written once, and given back.
#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/storage/support/fault_fs.h"
#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

std::uint64_t bytes_on_disk(const std::string& directory) {
  std::map<std::string, std::uint64_t> sizes;  // of each name: a file that is moved is seen twice
  std::error_code gone;                        // files come and go meanwhile
  for (const char* folder : {"/db", "/segments"}) {  // in the order in which files move
    for (const auto& entry : std::filesystem::directory_iterator(directory + folder, gone)) {
      const std::string name = entry.path().filename().string();
      if (!name.ends_with(".sst") && !name.ends_with(".log")) continue;
      const std::uint64_t size = entry.file_size(gone);
      if (!gone) sizes[name] = size;
    }
  }
  std::uint64_t total = 0;
  for (const auto& [name, size] : sizes) total += size;
  return total;
}

void wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 60'000; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL("waited for a minute");
}

std::uint64_t append_many(StorageShard& shard, LogId logs, Offset from, Offset to,
                          std::size_t payload) {
  std::uint64_t bytes = 0;
  Recorder recorder;
  std::size_t groups = 0;
  for (Offset base = from; base < to; ++base) {
    for (LogId log = 1; log <= logs; ++log) {
      WriteGroup group;
      group.appends.push_back({log, make_batch(log, base, {.payload_bytes = payload})});
      bytes += group.appends.front().batch.size();
      for (;;) {
        WriteGroup copy = group;
        const Status submitted = shard.submit(std::move(copy), recorder);
        if (submitted) break;
        REQUIRE(submitted.error().code == ErrorCode::kOverloaded);
        std::this_thread::yield();
      }
      ++groups;
    }
  }
  for (const WriteResult& result : recorder.wait(groups)) REQUIRE(result.error == ErrorCode::kOk);
  return bytes;
}

}  // namespace

TEST_CASE("each byte of a batch is written once, to the WAL") {
  for (const LogId logs : {LogId{1}, LogId{300}}) {
    CAPTURE(logs);
    const TempDir directory;
    const auto disk = std::make_shared<FaultFileSystem>(directory.path() + "/grave");
    const std::string data = directory.path() + "/data";
    constexpr std::size_t kPayload = 16'000;
    const Offset rounds = (long_tests() ? 400'000'000 : 60'000'000) / kPayload / logs;
    std::uint64_t payload = 0;
    {
      auto shard = open_or_fail({.directory = data, .generation_bytes = 8 << 20}, disk);
      payload = append_many(*shard, logs, 0, rounds, kPayload);
      REQUIRE(shard->close());
    }
    std::uint64_t written = 0;
    for (const FileKind kind : {FileKind::kWal, FileKind::kTable, FileKind::kManifest,
                                FileKind::kWatermark, FileKind::kOther}) {
      written += disk->written_bytes(kind);
    }
    const double factor = static_cast<double>(written) / static_cast<double>(payload);
    MESSAGE("bytes written for each byte appended: ", factor);
    CHECK(factor >= 1);
    CHECK(factor < 1.05);
  }
}

TEST_CASE("the space of a dropped log comes back, though it lies between the batches of another") {
  const TempDir directory;
  constexpr std::size_t kGeneration = 1 << 20;
  constexpr std::size_t kPayload = 8'000;
  constexpr Offset kEnd = 1'000;
  const ShardOptions options{.directory = directory.path(), .generation_bytes = kGeneration};
  {
    auto shard = open_or_fail(options);
    const std::uint64_t bytes = append_many(*shard, 2, 0, kEnd, kPayload);
    CHECK(bytes_on_disk(directory.path()) > bytes * 9 / 10);
    REQUIRE(shard->drop_log(1));
    const std::uint64_t bound = bytes / 2 * 3 / 2 + 2 * kGeneration;
    wait_until([&] { return bytes_on_disk(directory.path()) <= bound; });
    CHECK(read_all(*shard, 2, 0, kPayload) == kEnd);
    CHECK(append(*shard, 2, kEnd, {.payload_bytes = kPayload}) == ErrorCode::kOk);
    CHECK(shard->status().copied_bytes > 0);
    CHECK(shard->status().copied_bytes <= bytes / 2 + kGeneration);
    const TempDir copies;
    copy_as_killed(directory.path(), copies.path() + "/copy");
    auto killed =
        open_or_fail({.directory = copies.path() + "/copy", .generation_bytes = kGeneration});
    CHECK(killed->logs() == std::vector<LogId>{2});
    CHECK(read_all(*killed, 2, 0, kPayload) == kEnd + 1);
  }
  auto shard = open_or_fail(options);
  CHECK(read_all(*shard, 2, 0, kPayload) == kEnd + 1);
}

TEST_CASE("advancing the start gives generations back, down to nothing") {
  const TempDir directory;
  constexpr std::size_t kGeneration = 1 << 20;
  auto shard = open_or_fail({.directory = directory.path(), .generation_bytes = kGeneration});
  append_many(*shard, 2, 0, 600, 8'000);
  REQUIRE(shard->advance_start(1, 500));
  REQUIRE(shard->advance_start(2, 500));
  wait_until(
      [&] { return bytes_on_disk(directory.path()) < 200 * 8'100 * 3 / 2 + 2 * kGeneration; });
  CHECK(read_all(*shard, 1, 500, 8'000) == Offset{600});
  REQUIRE(shard->advance_start(1, 600));
  REQUIRE(shard->advance_start(2, 600));
  wait_until([&] { return bytes_on_disk(directory.path()) < 2 * kGeneration + 500'000; });
  CHECK(append(*shard, 1, 600) == ErrorCode::kOk);
  CHECK(read_all(*shard, 1, 600, 20) == Offset{601});
}

TEST_CASE("logs stay readable while their batches are being moved") {
  const TempDir directory;
  auto shard = open_or_fail({.directory = directory.path(), .generation_bytes = 300'000});
  append_many(*shard, 3, 0, 400, 3'000);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    while (!stop) {
      const auto end = read_all(*shard, 2, 0, 3'000);
      if (!end || *end < 400) ++wrong;
      if (!shard->find_time(2, 5'000)) ++wrong;
    }
  });
  REQUIRE(shard->drop_log(1));
  REQUIRE(shard->drop_log(3));
  wait_until([&] { return bytes_on_disk(directory.path()) < 400 * 3'100 * 3 / 2 + 600'000; });
  REQUIRE(shard->truncate(2, 400));
  stop = true;
  reader.join();
  CHECK(wrong == 0);
  CHECK(shard->status().copied_bytes > 0);
  const auto cut = shard->truncate(2, 100);
  REQUIRE(cut);
  CHECK(read_all(*shard, 2, 0, 3'000) == Offset{100});
}
