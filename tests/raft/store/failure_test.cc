// Disks that fail, hang, or are full.
#include "tests/raft/store/support/fault_store.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

// What on_failure was told.
class Told {
 public:
  explicit Told(RaftStore& store) {
    store.on_failure([state = state_](Error error) {
      const std::lock_guard lock(state->mutex);
      state->errors.push_back(std::move(error));
    });
  }
  std::size_t count() const {
    const std::lock_guard lock(state_->mutex);
    return state_->errors.size();
  }
  Error wait() const {
    wait_until([this] { return count() > 0; });
    const std::lock_guard lock(state_->mutex);
    return state_->errors.front();
  }

 private:
  struct State {
    std::mutex mutex;
    std::vector<Error> errors;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

std::uint64_t all_syncs(const FaultStore& fixture) {
  return fixture.disk->syncs(FileKind::kWal) + fixture.disk->syncs(FileKind::kWatermark);
}

}  // namespace

TEST_CASE("a failed sync ends the store: told once, nothing done, nothing tried again") {
  for (const FileKind kind : {FileKind::kWal, FileKind::kWatermark}) {
    CAPTURE(static_cast<int>(kind));
    FaultStore fixture;
    Counter done;
    {
      auto store = open_or_fail(fixture.options, fixture.disk);
      const Told told(*store);
      const std::uint64_t before = fixture.disk->written_bytes(FileKind::kWatermark);
      write_and_wait(*store, {.entries = entries_from(1, 1, 1)});
      const std::uint64_t marked = fixture.disk->written_bytes(FileKind::kWatermark);
      fixture.disk->fail_syncs(kind, true);
      store->write({.entries = entries_from(2, 1, 1)}, done.one());
      const Error error = told.wait();
      INFO(error.message);
      CHECK(error.code == ErrorCode::kIo);
      CHECK(says(error, "injected"));
      CHECK(says(error, "Check the disk and start again"));
      fixture.disk->fail_syncs(kind, false);
      const std::uint64_t syncs = all_syncs(fixture);
      for (Index index = 3; index < 10; ++index) {
        store->write({.entries = entries_from(index, 1, 1)}, done.one());
      }
      store.reset();
      CHECK(all_syncs(fixture) == syncs);
      // One copy, of a round as large as the one before.
      const std::uint64_t last_marked = fixture.disk->written_bytes(FileKind::kWatermark);
      CHECK(last_marked - marked == marked - before);
      CHECK(told.count() == 1);
      CHECK(done.count() == 0);
    }
    auto store = open_or_fail(fixture.options, fixture.disk);
    CHECK(store->last_index() >= 1);
    CHECK(store->last_index() <= 2);
    write_and_wait(*store, {.entries = entries_from(2, 1, 2)});
  }
}

// The vote was written, and the process died before it was marked: whoever reads it then relies on
// it, so it must not get lost unnoticed from there on.
TEST_CASE("what is found when a store is opened counts as synced from then on") {
  FaultStore fixture;
  const std::string db = fixture.options.path + "/db", old_db = fixture.directory.path() + "/old";
  {
    auto store = open_or_fail(fixture.options, fixture.disk);
    const Told told(*store);
    write_and_wait(*store, {.hard = HardState{.term = 1, .vote = 1}});
    copy_as_killed(db, old_db);
    fixture.disk->fail_writes(FileKind::kWatermark, rocksdb::IOStatus::IOError("injected"));
    store->write({.hard = HardState{.term = 2, .vote = 2}}, {});
    told.wait();
  }
  fixture.disk->fail_writes(FileKind::kWatermark, std::nullopt);
  CHECK(open_or_fail(fixture.options)->initial_state().hard == HardState{.term = 2, .vote = 2});
  copy_as_killed(old_db, db);
  const Error error = open_error(fixture.options);
  INFO(error.message);
  CHECK(error.code == ErrorCode::kDataLoss);
  CHECK(says(error, "term 2, vote 2"));
}

TEST_CASE("a full disk ends the store, and it opens again when there is room") {
  for (const FileKind kind : {FileKind::kWal, FileKind::kWatermark, FileKind::kTable}) {
    CAPTURE(static_cast<int>(kind));
    FaultStore fixture;
    Index done = 0;
    {
      auto store = open_or_fail(fixture.options, fixture.disk);
      const Told told(*store);
      fixture.disk->fail_writes(kind,
                                rocksdb::IOStatus::NoSpace("No space left on device (injected)"));
      Counter counter;
      for (Index index = 1; told.count() == 0; ++index) {  // tables: when a memtable is full
        store->write({.entries = entries_from(index, 1, 1, 500'000)}, counter.one());
        wait_until([&] { return counter.count() == index || told.count() > 0; });
      }
      done = counter.count();
      const Error error = told.wait();
      INFO(error.message);
      CHECK(says(error, "No space left"));
      CHECK(says(error, "start again"));
      CHECK(error.code == ErrorCode::kDiskFull);
    }
    fixture.disk->fail_writes(kind, std::nullopt);
    auto store = open_or_fail(fixture.options, fixture.disk);
    CHECK(store->last_index() >= done);
    write_and_wait(*store, {.entries = entries_from(store->last_index() + 1, 1, 2)});
  }
}

TEST_CASE("a store that cannot be opened for want of space says so, and is whole later") {
  FaultStore fixture;
  write_and_wait(*open_or_fail(fixture.options, fixture.disk), {.entries = entries_from(1, 3, 1)});
  fixture.disk->fail_writes(FileKind::kTable, rocksdb::IOStatus::NoSpace("No space left"));
  const Error error = open_error(fixture.options, fixture.disk);
  INFO(error.message);
  CHECK(error.code == ErrorCode::kDiskFull);
  CHECK(says(error, "Make room"));
  fixture.disk->fail_writes(FileKind::kTable, std::nullopt);
  CHECK(open_or_fail(fixture.options, fixture.disk)->last_index() == 3);
}

TEST_CASE("a hung sync holds `done` back and shows in the age of the oldest write") {
  for (const FileKind kind : {FileKind::kWal, FileKind::kWatermark}) {
    CAPTURE(static_cast<int>(kind));
    FaultStore fixture;
    auto store = open_or_fail(fixture.options, fixture.disk);
    write_and_wait(*store, {.entries = entries_from(1, 1, 1)});
    CHECK(store->oldest_write_age_ms() == 0);
    fixture.disk->hang_syncs(kind);
    Counter done;
    store->write({.hard = HardState{.term = 1, .vote = 1}}, done.one());
    fixture.disk->wait_until_hanging();
    store->write({.entries = entries_from(2, 1, 1)}, done.one());  // never blocks
    wait_until([&] { return store->oldest_write_age_ms() > 20; });
    CHECK(store->queued_bytes() > 0);
    CHECK(done.count() == 0);
    fixture.disk->release();
    done.wait(2);
    wait_until([&] { return store->oldest_write_age_ms() == 0; });
    CHECK(store->queued_bytes() == 0);
  }
}

TEST_CASE("writes that wait for a sync share the next one") {
  FaultStore fixture;
  auto store = open_or_fail(fixture.options, fixture.disk);
  fixture.disk->hang_syncs(FileKind::kWal);
  Counter done;
  store->write({.entries = entries_from(1, 1, 1)}, done.one());
  fixture.disk->wait_until_hanging();
  const std::uint64_t syncs = fixture.disk->syncs(FileKind::kWal);
  for (Index index = 2; index <= 200; ++index) {
    store->write({.entries = entries_from(index, 1, 1)}, done.one());
  }
  fixture.disk->release();
  done.wait(200);
  CHECK(fixture.disk->syncs(FileKind::kWal) == syncs + 2);
}

TEST_CASE("`done` comes after the syncs of the WAL and of the watermark, unless fsync is off") {
  for (const bool fsync : {true, false}) {
    CAPTURE(fsync);
    FaultStore fixture;
    fixture.options.fsync = fsync;
    auto store = open_or_fail(fixture.options, fixture.disk);
    const std::uint64_t wal = fixture.disk->syncs(FileKind::kWal);
    const std::uint64_t mark = fixture.disk->syncs(FileKind::kWatermark);
    for (Index index = 1; index <= 10; ++index) {
      write_and_wait(*store, {.entries = entries_from(index, 1, 1)});
      CHECK(fixture.disk->syncs(FileKind::kWal) == wal + (fsync ? index : 0));
      CHECK(fixture.disk->syncs(FileKind::kWatermark) == mark + (fsync ? index : 0));
    }
  }
}

TEST_CASE("an old entry that cannot be read ends the store instead of being left out") {
  FaultStore fixture;
  fixture.options.cache_bytes = 0;
  const std::string needle = payload_of(1'000, 1, 600);
  {
    auto store = open_or_fail(fixture.options);
    write_and_wait(*store, {.entries = entries_from(1, 40'000, 1, 600)});
  }
  {
    auto store = open_or_fail(fixture.options);
  }  // flushes what was recovered
  auto store = open_or_fail(fixture.options);
  const Told told(*store);
  bool damaged = false;
  for (const std::string& table : files_in(fixture.options.path, ".sst")) {
    const std::size_t at = read_file(table).find(needle);
    if (at == std::string::npos) continue;
    std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);  // in place
    file.seekp(static_cast<std::streamoff>(at));
    file << "damage";
    damaged = true;
  }
  REQUIRE(damaged);
  const auto entries = store->entries(1'000, 1'001, kNoLimit);
  REQUIRE_FALSE(entries);
  CHECK(entries.error() == LogFault::kUnavailable);
  const Error error = told.wait();
  INFO(error.message);
  CHECK(error.code == ErrorCode::kCorrupt);
  CHECK(says(error, kWhatToDo));
}
