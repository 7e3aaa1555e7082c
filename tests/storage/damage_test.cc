// Damaged files: found at open or at read, and said; what is served is right and whole.
#include <doctest/doctest.h>

#include <fstream>
#include <map>

#include "tests/storage/support/open.h"
#include "tests/storage/support/outcome.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

constexpr std::size_t kGeneration = 200'000;
constexpr std::size_t kPayload = 500;

// A shard with flushed generations and a live WAL, as kill -9 leaves it.
class Killed {
 public:
  Killed() {
    auto shard = open_or_fail({.directory = source_.path(), .generation_bytes = kGeneration});
    for (Offset base = 0; base < kEnd; ++base) {
      for (LogId log = 1; log <= 2; ++log) {
        REQUIRE(append(*shard, log, base, {.payload_bytes = kPayload}) == ErrorCode::kOk);
      }
    }
    copy_as_killed(source_.path(), killed());
  }

  static constexpr Offset kEnd = 500;
  static constexpr Expected kExpected{
      .end = kEnd, .payload_bytes = kPayload, .generation_bytes = kGeneration};

  std::string killed() const { return copies_.path() + "/killed"; }
  std::string fresh() const {
    copy_as_killed(killed(), copies_.path() + "/work");
    return copies_.path() + "/work";
  }

 private:
  TempDir source_, copies_{TempDir::kMemory};
};

Outcome outcome_of(const std::string& directory) {
  return test::outcome_of(directory, Killed::kExpected);
}

void overwrite(const std::string& path, std::uint64_t at, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file << bytes;
}

void flip_byte(const std::string& path, std::uint64_t at, unsigned bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ (1 << bit));
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

// A live WAL may go on with zeros.
std::uint64_t written_size(const std::string& wal) {
  std::ifstream in(wal, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  return bytes.find_last_not_of('\0') + 1;
}

std::string moved_to(const std::string& path, const std::string& from, const std::string& to) {
  return to + path.substr(from.size());
}

}  // namespace

TEST_CASE("a killed directory without damage is whole") {
  const Killed shard;
  CHECK(outcome_of(shard.fresh()) == Outcome::kWhole);
}

TEST_CASE("a zeroed page anywhere in a live WAL is data loss, not the end of the log") {
  const Killed shard;
  std::size_t tried = 0;
  for (const std::string& wal : files_in(shard.killed() + "/db", ".log")) {
    const std::uint64_t size = written_size(wal);
    const std::uint64_t step =
        long_tests() ? 4096 : std::max<std::uint64_t>(4096, size / 6 / 4096 * 4096);
    for (std::uint64_t at = 0; at < size; at += step) {
      CAPTURE(wal);
      CAPTURE(at);
      const std::string work = shard.fresh();
      const std::uint64_t length = std::min<std::uint64_t>(4096, size - at);
      overwrite(moved_to(wal, shard.killed(), work), at, std::string(length, '\0'));
      CHECK(outcome_of(work) == Outcome::kRefused);
      ++tried;
    }
  }
  CHECK(tried >= 3);
}

TEST_CASE("a live WAL that was cut short, or is missing, is data loss") {
  const Killed shard;
  std::size_t tried = 0;
  for (const std::string& wal : files_in(shard.killed() + "/db", ".log")) {
    const std::uint64_t size = written_size(wal);
    if (size == 0) continue;
    const std::uint64_t step = std::max<std::uint64_t>(1, size / (long_tests() ? 40 : 5));
    for (std::uint64_t left = 0; left < size; left += step) {
      CAPTURE(wal);
      CAPTURE(left);
      const std::string work = shard.fresh();
      std::filesystem::resize_file(moved_to(wal, shard.killed(), work), left);
      CHECK(outcome_of(work) == Outcome::kRefused);
      ++tried;
    }
    const std::string work = shard.fresh();
    std::filesystem::resize_file(moved_to(wal, shard.killed(), work), size - 1);
    CHECK(outcome_of(work) == Outcome::kRefused);
    std::filesystem::remove(moved_to(wal, shard.killed(), work));
    CHECK(outcome_of(work) == Outcome::kRefused);
  }
  CHECK(tried >= 5);
}

TEST_CASE("a flipped bit in any file is found, or does no harm") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  const Killed shard;
  const int tries = long_tests() ? 40 : 4;
  std::map<Outcome, int> outcomes;
  for (const std::string& path : files_in(shard.killed(), "")) {
    const std::uint64_t size = std::filesystem::file_size(path);
    for (int i = 0; i < tries && size > 0; ++i) {
      const std::uint64_t at = random() % size;
      const auto bit = static_cast<unsigned>(random() % 8);
      CAPTURE(path);
      CAPTURE(at);
      CAPTURE(bit);
      const std::string work = shard.fresh();
      flip_byte(moved_to(path, shard.killed(), work), at, bit);
      const bool table = path.ends_with(".sst");
      const Outcome outcome = table ? outcome_in_child(work, Killed::kExpected) : outcome_of(work);
      CHECK(outcome <= (table ? Outcome::kAborted : Outcome::kReadFails));
      ++outcomes[outcome];
    }
  }
  CHECK(outcomes[Outcome::kRefused] + outcomes[Outcome::kReadFails] > 0);
}

TEST_CASE("a damaged batch in a segment is never served, and its neighbours are") {
  const Killed shard;
  const std::string work = shard.fresh();
  const auto segments = files_in(work + "/segments", ".log");
  const std::string needle = payload_at(1, 40, kPayload);
  bool found = false;
  for (const std::string& segment : segments) {
    std::ifstream in(segment, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    const std::size_t at = bytes.find(needle);
    if (at == std::string::npos) continue;
    found = true;
    flip_byte(segment, at + 100, 3);
  }
  REQUIRE(found);
  auto opened = open_or_fail({.directory = work, .generation_bytes = kGeneration});
  CHECK(opened->read(1, 40, 1).error().code == ErrorCode::kCorrupt);
  CHECK(read_all(*opened, 1, 0, kPayload).error().code == ErrorCode::kCorrupt);
  CHECK(read_all(*opened, 1, 100, kPayload) == Killed::kEnd);
  CHECK(read_all(*opened, 2, 100, kPayload) == Killed::kEnd);
}

TEST_CASE("an accepted loss leaves shorter logs that are whole, and is reported") {
  const Killed shard;
  const auto wals = files_in(shard.killed() + "/db", ".log");
  REQUIRE_FALSE(wals.empty());
  for (const std::string& wal : wals) {
    const std::uint64_t size = written_size(wal);
    if (size < 8192) continue;
    const std::string work = shard.fresh();
    overwrite(moved_to(wal, shard.killed(), work), size / 2 / 4096 * 4096, std::string(4096, '\0'));
    const ShardOptions options{.directory = work, .generation_bytes = kGeneration};
    CHECK(open_error(options) == ErrorCode::kDataLoss);
    ShardOptions accepting = options;
    accepting.accept_data_loss = true;
    RecoveryReport report;
    {
      auto opened = open_or_fail(accepting, nullptr, &report);
      CHECK_FALSE(report.data_loss.empty());
      for (LogId log = 1; log <= 2; ++log) {
        const Offset end = opened->log_state(log)->end_offset;
        CHECK(end < Killed::kEnd);
        CHECK(read_all(*opened, log, 0, kPayload) == end);
        CHECK(append(*opened, log, end, {.payload_bytes = kPayload}) == ErrorCode::kOk);
      }
    }
    CHECK(open_error(options) == ErrorCode::kOk);  // once accepted, it is over
  }
}

TEST_CASE("a missing watermark, table or segment is not taken for an empty directory") {
  const Killed shard;
  std::string work = shard.fresh();
  std::filesystem::remove(work + "/watermark");
  CHECK(open_error({.directory = work}) == ErrorCode::kCorrupt);
  work = shard.fresh();
  std::filesystem::remove(files_in(work + "/db", ".sst").front());
  CHECK(outcome_of(work) <= Outcome::kReadFails);
  work = shard.fresh();
  std::filesystem::remove(files_in(work + "/segments", ".log").front());
  CHECK(outcome_of(work) == Outcome::kRefused);
  {  // once accepted, what lies behind the hole is served
    auto opened = open_or_fail(
        {.directory = work, .accept_data_loss = true, .generation_bytes = kGeneration});
    CHECK(opened->read(1, 0, 1).error().code == ErrorCode::kCorrupt);
    CHECK(read_all(*opened, 1, Killed::kEnd - 20, kPayload) == Killed::kEnd);
  }
  work = shard.fresh();
  const std::string cut_short = files_in(work + "/segments", ".log").front();
  std::filesystem::resize_file(cut_short, std::filesystem::file_size(cut_short) / 2);
  CHECK(outcome_of(work) == Outcome::kRefused);
  work = shard.fresh();
  std::filesystem::remove(work + "/db/CURRENT");
  CHECK(outcome_of(work) == Outcome::kRefused);
}
