// Where RocksDB puts the bytes of a record, from where the record begins; and its own log writer's
// word for it: a record as it lies in a real WAL file.
#include "storage/wal_layout.h"

#include <doctest/doctest.h>
#include <rocksdb/db.h>

#include <fstream>
#include <memory>
#include <random>
#include <string>

#include "tests/storage/support/open.h"

using namespace andyx::storage;
using namespace andyx::storage::test;

TEST_CASE("a record begins in the next block where its head does not fit") {
  CHECK(wal::record_begin(0) == 0);
  CHECK(wal::record_begin(wal::kBlockBytes - 7) == wal::kBlockBytes - 7);
  CHECK(wal::record_begin(wal::kBlockBytes - 6) == wal::kBlockBytes);
  CHECK(wal::record_begin(wal::kBlockBytes) == wal::kBlockBytes);
  CHECK(wal::position(0, 0) == 7);
  CHECK(wal::position(0, wal::kFragmentBytes - 1) == wal::kBlockBytes - 1);
  CHECK(wal::position(0, wal::kFragmentBytes) == wal::kBlockBytes + 7);
  CHECK(wal::position(wal::kBlockBytes - 7, 0) ==
        wal::kBlockBytes + 7);  // an empty fragment before
  CHECK(wal::record_end(0, 1) == 8);
}

TEST_CASE("records of any size lie in a WAL of RocksDB where the layout says") {
  const TempDir directory;
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  REQUIRE(rocksdb::DB::Open(options, directory.path() + "/db", &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::vector<std::pair<std::uint64_t, std::string>> records;  // where, and what
  const std::string file = files_in(directory.path() + "/db", ".log").front();
  for (int i = 0; i < 200; ++i) {
    const std::size_t most = i % 3 == 0 ? 200'000 : i % 3 == 1 ? 40'000 : 100;
    std::string payload(1 + random() % most, 0);
    for (char& byte : payload) byte = static_cast<char>(random());
    const std::uint64_t begin = wal::record_begin(std::filesystem::file_size(file));
    rocksdb::WriteBatch batch;
    REQUIRE(batch.PutLogData(payload).ok());
    REQUIRE(batch.Put("k", "v").ok());
    const std::size_t size = batch.GetDataSize();
    REQUIRE(db->Write({}, &batch).ok());
    CHECK(std::filesystem::file_size(file) == wal::record_end(begin, size));
    records.emplace_back(begin, batch.Data());
  }
  std::ifstream in(file, std::ios::binary);
  const std::string all(std::istreambuf_iterator<char>(in), {});
  for (const auto& [record, bytes] : records) {
    const std::uint64_t from = random() % bytes.size();
    const std::uint64_t to = from + 1 + random() % (bytes.size() - from);
    const std::uint64_t begin = wal::position(record, from);
    std::string read = all.substr(begin, wal::position(record, to - 1) + 1 - begin);
    read.resize(wal::strip_heads(read.data(), read.size(), begin));
    if (from >= 8) CHECK(read == bytes.substr(from, to - from));  // the first 8 get a sequence
  }
}
