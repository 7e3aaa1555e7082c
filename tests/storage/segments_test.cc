// The files in which batches lie, between RocksDB and the disk.
#include "storage/segments.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

TEST_CASE("a WAL file that RocksDB deletes is kept, and that is told once it is so") {
  const TempDir directory;
  const std::string database = directory.path() + "/db";
  std::filesystem::create_directory(database);
  std::ofstream(database + "/000012.log") << "batches";
  std::shared_ptr<Segments> segments;
  int told = 0;
  auto opened =
      Segments::open(rocksdb::FileSystem::Default(), database, directory.path() + "/segments", [&] {
        CHECK(segments->kept() == std::map<FileNumber, std::uint64_t>{{12, 7}});
        ++told;
      });
  REQUIRE(opened);
  segments = *opened;
  CHECK(segments->kept().empty());
  CHECK(segments->DeleteFile(database + "/000012.log", {}, nullptr).ok());
  CHECK(told == 1);
  CHECK(std::filesystem::exists(directory.path() + "/segments/000012.log"));
  CHECK_FALSE(segments->DeleteFile(database + "/000013.log", {}, nullptr).ok());
  CHECK(told == 1);
}
