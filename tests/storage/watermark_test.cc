// The file that tells how much was synced, when RocksDB's WAL cannot.
#include "storage/watermark.h"

#include <doctest/doctest.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <fstream>

#include "tests/storage/support/test_batches.h"

using namespace andyx;
using namespace andyx::storage;

namespace {

void flip(const std::string& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(at);
  file.put(byte);
}

}  // namespace

TEST_CASE("a watermark gives back the newest mark, through reopening and damage to one slot") {
  const test::TempDir directory;
  const std::string path = directory.path() + "/watermark";
  rocksdb::FileSystem& fs = *rocksdb::FileSystem::Default();
  CHECK(Watermark::load(fs, path).error().code == ErrorCode::kCorrupt);
  {
    auto mark = Watermark::open(fs, path);
    REQUIRE(mark);
    CHECK(Watermark::load(fs, path).error().code == ErrorCode::kCorrupt);
    for (std::uint64_t i = 1; i <= 5; ++i) {
      REQUIRE((*mark)->publish({.round = {.number = i, .generation = 3, .total_bytes = i * 10}}));
      const auto found = Watermark::load(fs, path);
      REQUIRE(found);
      CHECK(found->mark.round.number == i);
      CHECK(found->mark.round.total_bytes == i * 10);
      CHECK_FALSE(found->one_slot_damaged);
    }
    REQUIRE((*mark)->sync());
  }
  auto mark = Watermark::open(fs, path);
  REQUIRE(mark);
  REQUIRE((*mark)->publish({.round = {.number = 6}, .clean_stop = true, .fsync = false}));
  auto found = Watermark::load(fs, path);
  CHECK(found->mark.clean_stop);
  CHECK_FALSE(found->mark.fsync);
  CHECK(found->mark.round.number == 6);
  // Mark 6 lies in the second slot: with it damaged, 5 is left.
  flip(path, 4096 + 8);
  found = Watermark::load(fs, path);
  REQUIRE(found);
  CHECK(found->mark.round.number == 5);
  CHECK(found->one_slot_damaged);
  flip(path, 63);
  CHECK(Watermark::load(fs, path).error().code == ErrorCode::kCorrupt);
}

TEST_CASE("the mark of a clean stop counts, in whichever slot it lies") {
  for (std::uint64_t rounds : {4u, 5u}) {
    const test::TempDir directory;
    const std::string path = directory.path() + "/watermark";
    rocksdb::FileSystem& fs = *rocksdb::FileSystem::Default();
    auto mark = Watermark::open(fs, path);
    REQUIRE(mark);
    for (std::uint64_t i = 1; i <= rounds; ++i) REQUIRE((*mark)->publish({.round = {.number = i}}));
    REQUIRE((*mark)->publish({.round = {.number = rounds}, .clean_stop = true}));
    const auto found = Watermark::load(fs, path);
    REQUIRE(found);
    CHECK(found->mark.clean_stop);
    CHECK(found->mark.round.number == rounds);
  }
}
