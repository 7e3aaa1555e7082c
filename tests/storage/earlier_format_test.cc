// Directories of earlier formats are taken over. Format 2 kept batches in the rows of the log
// family; here a directory of now is made into one: batches into their rows, segments away.
#include <doctest/doctest.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <xxhash.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "storage/database.h"
#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

constexpr std::size_t kGeneration = 200'000;
constexpr std::size_t kPayload = 3'000;
constexpr Offset kEnd = 300;

void make_format_2(const std::string& directory) {
  {
    auto database = Database::open(rocksdb::FileSystem::Default(),
                                   {.path = directory + "/db",
                                    .segments_path = directory + "/segments",
                                    .generation_bytes = kGeneration},
                                   {.failed = [](const std::string& why) { FAIL(why); },
                                    .flushed = [] {},
                                    .segment_kept = [] {}});
    REQUIRE(database);
    rocksdb::WriteBatch batch;
    REQUIRE((*database)->visit_batches_from(
        0, [&](std::string_view key, const std::optional<Place>& place, const SharedBytes& bytes) {
          REQUIRE(place);
          return batch
              .Put((*database)->family(Family::kLog), {key.data(), key.size()},
                   {reinterpret_cast<const char*>(bytes.data()), bytes.size()})
              .ok();
        }));
    REQUIRE((*database)->visit_rows(
        Family::kHead, std::string(1, kSealedTag), [&](std::string_view key, std::string_view row) {
          return batch
              .Put((*database)->family(Family::kHead), {key.data(), key.size()},
                   {row.data(), 2 * sizeof(std::uint64_t)})
              .ok();
        }));
    REQUIRE((*database)->db().Write({}, &batch).ok());
    REQUIRE((*database)->flush_all());
  }
  std::filesystem::remove_all(directory + "/segments");
  const std::string line = "andyx storage format 2\n";
  char checksum[20];
  std::snprintf(checksum, sizeof checksum, "%016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(line.data(), line.size())));
  std::ofstream(directory + "/FORMAT") << line << checksum;
}

}  // namespace

TEST_CASE("a directory of format 2 is taken over: read, written to, and given back") {
  const TempDir directory;
  const ShardOptions options{.directory = directory.path(), .generation_bytes = kGeneration};
  {
    auto shard = open_or_fail(options);
    for (Offset offset = 0; offset < kEnd; ++offset)
      for (const LogId log : {LogId{1}, LogId{2}})
        REQUIRE(append(*shard, log, offset, {.payload_bytes = kPayload}) == ErrorCode::kOk);
    REQUIRE(shard->close());
  }
  make_format_2(directory.path());
  for (int start = 0; start < 2; ++start) {
    CAPTURE(start);
    auto shard = open_or_fail(options);
    const Offset end = kEnd + static_cast<Offset>(start);
    CHECK(read_all(*shard, 1, 0, kPayload) == end);
    CHECK(read_all(*shard, 2, 0, kPayload) == end);
    for (const LogId log : {LogId{1}, LogId{2}})
      CHECK(append(*shard, log, end, {.payload_bytes = kPayload}) == ErrorCode::kOk);
    CHECK(read_all(*shard, 1, 0, kPayload) == end + 1);
    if (start == 1) {  // most of the old generations' files are dead then: the rest is copied
      REQUIRE(shard->drop_log(1));
      for (int i = 0; i < 60'000 && shard->status().copied_bytes == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      CHECK(shard->status().copied_bytes > 0);
      CHECK(read_all(*shard, 2, 0, kPayload) == end + 1);
    }
    REQUIRE(shard->close());
  }
}
