// Stores in tests: opened, written and waited for; their directories copied and damaged.
#pragma once

#include <doctest/doctest.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "protocol/base/limits.h"
#include "raft/store/raft_store.h"

namespace andyx::raft::test {

// Where the second slot of a watermark begins.
inline constexpr std::size_t kSlotBytes = 4096 + limits::kMaxRaftRoundCopyBytes;

class TempDir {
 public:
  enum Where { kDisk, kMemory };  // memory: no real syncs

  explicit TempDir(Where where = kMemory) {
    const char* set = std::getenv("TMPDIR");
    std::string base = set != nullptr ? set : "/tmp";
    if (where == kMemory && std::filesystem::exists("/dev/shm")) base = "/dev/shm";
    std::string pattern = base + "/andyx-raft-store-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline StoreOptions options_at(const std::string& path) {
  return {.path = path, .identity = {.cluster_id = "c-1", .peer = 7, .disk_id = "d-1"}};
}

inline SharedBytes bytes_of(std::string_view text) {
  return SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

inline std::string text_of(const SharedBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Says where it belongs, and is as long as asked.
inline std::string payload_of(Index index, Term term, std::size_t size) {
  std::string text = std::to_string(index) + "@" + std::to_string(term) + " ";
  for (std::uint64_t state = index * 31 + term; text.size() < size;) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    text.push_back(static_cast<char>('a' + (state >> 60)));
  }
  return text;
}

inline Entry entry_at(Index index, Term term, std::size_t size = 20) {
  return {.term = term, .index = index, .data = bytes_of(payload_of(index, term, size))};
}

inline std::vector<Entry> entries_from(Index first, std::size_t count, Term term,
                                       std::size_t size = 20) {
  std::vector<Entry> entries;
  for (Index index = first; index < first + count; ++index) {
    entries.push_back(entry_at(index, term, size));
  }
  return entries;
}

inline SnapshotPtr snapshot_at(Index index, Term term, std::size_t size = 20) {
  return std::make_shared<Snapshot>(
      Snapshot{.meta = {.index = index,
                        .term = term,
                        .conf = {.voters = {1, 2, 7}, .learners = {index}, .auto_leave = true}},
               .data = size == 0 ? SharedBytes() : bytes_of(payload_of(index, term, size))});
}

// Whether they are the same values.
inline bool same(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  return std::ranges::equal(a, b, [](const Entry& x, const Entry& y) {
    return x.index == y.index && x.term == y.term && x.type == y.type &&
           std::ranges::equal(x.data.span(), y.data.span());
  });
}

inline std::unique_ptr<RaftStore> open_or_fail(const StoreOptions& options,
                                               std::shared_ptr<rocksdb::FileSystem> fs = nullptr) {
  auto store = RaftStore::open(options, std::move(fs));
  if (!store) FAIL(store.error().message);
  return std::move(*store);
}

inline Error open_error(const StoreOptions& options,
                        std::shared_ptr<rocksdb::FileSystem> fs = nullptr) {
  auto store = RaftStore::open(options, std::move(fs));
  return store ? Error{ErrorCode::kOk, "opened"} : store.error();
}

inline bool says(const Error& error, std::string_view words) {
  return error.message.find(words) != std::string::npos;
}
inline constexpr std::string_view kWhatToDo =
    "remove this node from the group and add it anew with an empty directory";

// Counts what was called back; shared with the callbacks.
class Counter {
 public:
  RaftStore::Done one() {
    return [state = state_] {
      const std::lock_guard lock(state->mutex);
      ++state->count;
      state->changed.notify_all();
    };
  }
  void wait(std::size_t count) {
    std::unique_lock lock(state_->mutex);
    REQUIRE(state_->changed.wait_for(lock, std::chrono::seconds(60),
                                     [&] { return state_->count >= count; }));
  }
  std::size_t count() const {
    const std::lock_guard lock(state_->mutex);
    return state_->count;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t count = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

inline void write_and_wait(RaftStore& store, StoreWrite write) {
  Counter done;
  store.write(std::move(write), done.one());
  done.wait(1);
}

inline void wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 60'000; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL("waited for 60 s");
}

inline std::vector<std::string> files_in(const std::string& directory, const std::string& ending) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    std::error_code gone;
    const std::string path = entry.path().string();
    if (entry.is_regular_file(gone) && path.ends_with(ending)) out.push_back(path);
  }
  std::ranges::sort(out);
  return out;
}

// Of a store where nothing is in flight: what is in the page cache survives kill -9.
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

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

inline void overwrite(const std::string& path, std::size_t at, const std::string& bytes) {
  std::string contents = read_file(path);
  contents.replace(at, bytes.size(), bytes);
  write_file(path, contents);
}

// Long forms of slow tests run with ANDYX_TEST_LONG set.
inline bool long_tests() { return std::getenv("ANDYX_TEST_LONG") != nullptr; }

// ANDYX_TEST_SEED, or a new one; print it with MESSAGE.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("ANDYX_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

}  // namespace andyx::raft::test
