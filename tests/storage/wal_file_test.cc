// Zeros ahead of small syncs: what is written when, what the file holds, what may fail.
#include "storage/wal_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "tests/storage/support/fault_fs.h"
#include "tests/storage/support/open.h"

namespace andyx::storage::test {
namespace {

constexpr std::uint64_t kZerosBytes = 256 * 1024;

struct Fixture {
  TempDir directory{TempDir::kMemory};
  std::shared_ptr<FaultFileSystem> disk =
      std::make_shared<FaultFileSystem>(directory.path() + "/grave");
  std::string path = directory.path() + "/000001.log";
  std::uint64_t counted = 0;
  std::unique_ptr<WalFile> file;
  std::string written;

  Fixture() {
    std::unique_ptr<rocksdb::FSWritableFile> made;
    REQUIRE(disk->NewWritableFile(path, {}, &made, nullptr).ok());
    file = std::make_unique<WalFile>(std::move(made), [this](std::uint64_t n) { counted += n; });
  }
  void append(std::size_t bytes) {
    const std::string data(bytes, static_cast<char>('a' + written.size() % 26));
    REQUIRE(file->Append(data, {}, nullptr).ok());
    written += data;
  }
  void append_and_sync(std::size_t bytes) {
    append(bytes);
    REQUIRE(file->Sync({}, nullptr).ok());
  }
  std::string contents() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::uint64_t size() const { return std::filesystem::file_size(path); }
};

TEST_CASE_FIXTURE(Fixture, "small syncs in a row find zeros to write into") {
  for (int i = 0; i < 4; ++i) append_and_sync(100);
  CHECK(size() == 400);
  append_and_sync(100);
  CHECK(size() == 500 + kZerosBytes);
  for (std::uint64_t i = 0; i < kZerosBytes / 100; ++i) append_and_sync(100);
  CHECK(size() == 500 + kZerosBytes);  // not a byte longer
  append_and_sync(200);
  CHECK(size() == written.size() + kZerosBytes);
  CHECK(counted == written.size());
  CHECK(file->GetFileSize({}, nullptr) == written.size());
  CHECK(contents() == written + std::string(kZerosBytes, '\0'));
  REQUIRE(file->Close({}, nullptr).ok());
  CHECK(contents() == written);
}

TEST_CASE_FIXTURE(Fixture, "what is large, or not synced, is written once") {
  for (int i = 0; i < 20; ++i) append_and_sync(20'000);
  for (int i = 0; i < 20; ++i) append(100);
  append_and_sync(20'000);
  CHECK(size() == written.size());
  CHECK(disk->written_bytes(FileKind::kWal) == written.size());
}

TEST_CASE_FIXTURE(Fixture, "a large append goes over what is left of the zeros") {
  for (int i = 0; i < 5; ++i) append_and_sync(100);
  append_and_sync(kZerosBytes + 10'000);
  CHECK(contents() == written);
  append_and_sync(100);
  REQUIRE(file->Close({}, nullptr).ok());
  CHECK(contents() == written);
}

TEST_CASE_FIXTURE(Fixture, "where there is no room for zeros it goes on without") {
  for (int i = 0; i < 4; ++i) append_and_sync(100);
  disk->fail_writes_after(FileKind::kWal, 1);
  append_and_sync(100);
  CHECK(size() == written.size());
  disk->fail_writes(FileKind::kWal, std::nullopt);
  for (int i = 0; i < 5; ++i) append_and_sync(100);
  CHECK(size() > written.size());
  REQUIRE(file->Close({}, nullptr).ok());
  CHECK(contents() == written);
}

}  // namespace
}  // namespace andyx::storage::test
