// Opening shards in tests, and copying their directories as kill -9 would leave them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/rocksdb_shard.h"
#include "tests/storage/support/test_batches.h"

namespace andyx::storage::test {

inline std::unique_ptr<StorageShard> open_or_fail(const ShardOptions& options,
                                                  std::shared_ptr<rocksdb::FileSystem> fs = nullptr,
                                                  RecoveryReport* report = nullptr) {
  auto shard = open_rocksdb_shard(options, std::move(fs), report);
  if (!shard) FAIL(shard.error().message);
  return std::move(*shard);
}

inline ErrorCode open_error(const ShardOptions& options) {
  auto shard = open_rocksdb_shard(options);
  if (shard) return ErrorCode::kOk;
  INFO(shard.error().message);
  CHECK(shard.error().message.size() > 20);
  return shard.error().code;
}

inline std::vector<std::string> files_in(const std::string& directory, const std::string& ending) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const std::string path = entry.path().string();
    std::error_code gone;  // a file may vanish while the shard is open
    if (entry.is_regular_file(gone) && path.ends_with(ending)) out.push_back(path);
  }
  std::ranges::sort(out);
  return out;
}

// Of an open shard where nothing is in flight: what is in the page cache survives kill -9. The
// shard may still be moving and dropping files: a copy counts when the same files were there before
// and after it.
inline void copy_as_killed(const std::string& from, const std::string& to) {
  for (int attempt = 0; attempt < 1'000; ++attempt) {
    std::filesystem::remove_all(to);
    std::error_code error;
    const auto before = files_in(from, "");
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive, error);
    if (!error && files_in(from, "") == before) return;
  }
  FAIL("the files of " << from << " never stood still");
}

// Long forms of slow tests run with ANDYX_TEST_LONG set.
inline bool long_tests() { return std::getenv("ANDYX_TEST_LONG") != nullptr; }

// ANDYX_TEST_SEED, or a new one; print it with INFO or MESSAGE.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("ANDYX_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

}  // namespace andyx::storage::test
