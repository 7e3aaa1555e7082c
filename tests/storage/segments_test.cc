// The files in which batches lie, between RocksDB and the disk.
#include "storage/segments.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

// Calls `on_read` in the middle of each read.
class ReadHook final : public rocksdb::FileSystemWrapper {
 public:
  ReadHook() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "read-hook"; }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override {
    auto status = target()->NewRandomAccessFile(path, options, file, debug);
    if (status.ok()) *file = std::make_unique<File>(std::move(*file), on_read);
    return status;
  }

  std::function<void()> on_read = [] {};

 private:
  class File final : public rocksdb::FSRandomAccessFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSRandomAccessFile> file, const std::function<void()>& on_read)
        : FSRandomAccessFileOwnerWrapper(std::move(file)), on_read_(on_read) {}
    rocksdb::IOStatus Read(std::uint64_t offset, std::size_t size,
                           const rocksdb::IOOptions& options, rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* debug) const override {
      on_read_();
      return FSRandomAccessFileOwnerWrapper::Read(offset, size, options, result, scratch, debug);
    }

   private:
    const std::function<void()>& on_read_;
  };
};

// A directory with segments/000012.log of 100 bytes, and so many after it, and the file system over
// them.
struct OneSegment {
  explicit OneSegment(FileNumber others = 0) {
    std::filesystem::create_directories(directory.path() + "/db");
    std::filesystem::create_directories(directory.path() + "/segments");
    for (FileNumber file = 12; file <= 12 + others; ++file)
      std::ofstream(path(file)) << std::string(100, 'x');
    auto opened =
        Segments::open(files, directory.path() + "/db", directory.path() + "/segments", [] {});
    REQUIRE(opened);
    segments = *opened;
  }
  std::string path(FileNumber file = 12) const {
    return directory.path() + "/segments/0000" + std::to_string(file) + ".log";
  }

  const TempDir directory;
  const std::shared_ptr<ReadHook> files = std::make_shared<ReadHook>();
  std::shared_ptr<Segments> segments;
};

}  // namespace

TEST_CASE("a segment is removed from its end, piece by piece") {
  OneSegment one;
  for (const std::uint64_t left : {60u, 20u}) {
    CHECK(one.segments->remove_some(12, 40) == false);
    CHECK(std::filesystem::file_size(one.path()) == left);
    CHECK(one.segments->kept() == std::map<FileNumber, std::uint64_t>{{12, left}});
    CHECK(one.segments->bytes() == left);
  }
  CHECK(one.segments->remove_some(12, 40) == true);
  CHECK_FALSE(std::filesystem::exists(one.path()));
  CHECK(one.segments->kept().empty());
  CHECK(one.segments->remove_some(12, 40) == true);
}

TEST_CASE("a segment that is being read is removed whole, and read to the end") {
  OneSegment one;
  one.files->on_read = [&] { CHECK(one.segments->remove_some(12, 40) == true); };
  const auto read = one.segments->read({.file = 12, .record = 0, .at = 0, .size = 80});
  CHECK(read.has_value());
  CHECK_FALSE(std::filesystem::exists(one.path()));
  one.files->on_read = [] {};
  CHECK(one.segments->read({.file = 12, .record = 0, .at = 0, .size = 80}).error().code ==
        ErrorCode::kCorrupt);
}

TEST_CASE("a segment that is being read stays open, however many others are read meanwhile") {
  constexpr FileNumber kOthers = 80;  // more than are held open
  OneSegment one(kOthers);
  const auto read = [&](FileNumber file) {
    return one.segments->read({.file = file, .record = 0, .at = 0, .size = 80}).has_value();
  };
  bool others_read = false;
  one.files->on_read = [&] {
    if (std::exchange(others_read, true)) return;
    for (FileNumber file = 13; file <= 12 + kOthers; ++file) CHECK(read(file));
    CHECK(one.segments->remove_some(12, 40) == true);
  };
  CHECK(read(12));
}

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
