// Damaged files: what was synced is there and whole, or the store is refused with what to do.
#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

constexpr Index kLast = 300;
constexpr HardState kHard{.term = 9, .vote = 5, .commit = 250};

// A store as kill -9 leaves it: a snapshot, entries, and a vote written last.
class Killed {
 public:
  Killed() {
    auto store = open_or_fail(options_at(source_.path()));
    Counter done;
    for (Index index = 1; index <= kLast; ++index) {
      write_and_wait(*store, {.entries = entries_from(index, 1, 1 + index / 100, 300)});
      if (index == 100) {
        store->save_snapshot(snapshot_at(80, 1, 700'000), done.one());
        done.wait(1);
        store->compact(60);
      }
    }
    write_and_wait(*store, {.hard = kHard});
    copy_as_killed(source_.path(), killed());
  }

  std::string killed() const { return copies_.path() + "/killed"; }
  std::string fresh() const {
    copy_as_killed(killed(), work());
    return work();
  }
  std::string work() const { return copies_.path() + "/work"; }
  std::string wal() const {  // of the copy to work on
    const auto wals = files_in(work(), ".log");
    REQUIRE(wals.size() == 1);
    return wals.front();
  }

 private:
  TempDir source_, copies_;
};

// Opens as a whole, or says what to do: true when it opened.
bool whole_or_refused(const std::string& path) {
  auto store = RaftStore::open(options_at(path));
  if (!store) {
    const Error& error = store.error();
    INFO(error.message);
    CHECK((error.code == ErrorCode::kDataLoss || error.code == ErrorCode::kCorrupt));
    CHECK(says(error, kWhatToDo));
    return false;
  }
  CHECK((*store)->initial_state().hard == kHard);
  CHECK((*store)->first_index() == 61);
  REQUIRE((*store)->last_index() == kLast);
  const auto entries = (*store)->entries(61, kLast + 1, kNoLimit);
  REQUIRE(entries);
  for (const Entry& entry : *entries) {
    CHECK(text_of(entry.data) == payload_of(entry.index, entry.term, 300));
  }
  CHECK(text_of((*(*store)->snapshot())->data) == payload_of(80, 1, 700'000));
  return true;
}

}  // namespace

TEST_CASE("a killed store without damage is whole") {
  const Killed store;
  CHECK(whole_or_refused(store.fresh()));
}

TEST_CASE("a zeroed page in the synced part of the WAL is data loss, not its end") {
  const Killed store;
  store.fresh();
  const std::size_t size = std::filesystem::file_size(store.wal());
  const std::size_t step = long_tests() ? 4096 : size / 16 / 4096 * 4096;
  for (std::size_t at = 0; at < size; at += step) {
    CAPTURE(at);
    store.fresh();
    overwrite(store.wal(), at, std::string(std::min<std::size_t>(4096, size - at), '\0'));
    CHECK_FALSE(whole_or_refused(store.work()));
  }
}

TEST_CASE("a lost end of the WAL is refused, and names the vote that was in it") {
  const Killed store;
  store.fresh();
  const std::size_t size = std::filesystem::file_size(store.wal());
  for (const std::size_t left : {size - 400, size - 4'000, size / 2, std::size_t{0}}) {
    CAPTURE(left);
    store.fresh();
    std::filesystem::resize_file(store.wal(), left);
    for (int start = 0; start < 2; ++start) {  // and stays refused
      const Error error = open_error(options_at(store.work()));
      INFO(error.message);
      CHECK(error.code == ErrorCode::kDataLoss);
      CHECK(says(error, "(term 9, vote 5, last index 300)"));
      CHECK(says(error, kWhatToDo));
    }
  }
  store.fresh();
  std::filesystem::remove(store.wal());
  CHECK(open_error(options_at(store.work())).code == ErrorCode::kDataLoss);
}

TEST_CASE("where only the last round of the WAL is damaged, its copy takes its place") {
  const Killed store;
  store.fresh();
  const std::size_t size = std::filesystem::file_size(store.wal());
  for (const std::size_t lost : {1u, 30u, 60u}) {
    CAPTURE(lost);
    store.fresh();
    std::filesystem::resize_file(store.wal(), size - lost);
    CHECK(whole_or_refused(store.work()));
    CHECK(whole_or_refused(store.work()));
    store.fresh();
    overwrite(store.wal(), size - lost, "d");
    CHECK(whole_or_refused(store.work()));
    CHECK(whole_or_refused(store.work()));
  }
}

TEST_CASE("a torn end behind the last synced round is cut, silently") {
  const Killed store;
  for (const std::string& torn : {std::string("\x01"), std::string(1'000, '\0'),
                                  std::string(5'000, 'x'), payload_of(1, 1, 40'000)}) {
    store.fresh();
    write_file(store.wal(), read_file(store.wal()) + torn);
    CHECK(whole_or_refused(store.work()));
    CHECK(whole_or_refused(store.work()));
  }
}

TEST_CASE("a watermark that is lost or damaged is refused, one torn slot is not") {
  const Killed store;
  store.fresh();
  const std::string mark = store.work() + "/watermark";
  SUBCASE("lost") {
    std::filesystem::remove(mark);
    CHECK_FALSE(whole_or_refused(store.work()));
    CHECK(says(open_error(options_at(store.work())), "watermark is missing"));
  }
  SUBCASE("empty") {
    write_file(mark, "");
    CHECK_FALSE(whole_or_refused(store.work()));
  }
  SUBCASE("zeros") {
    write_file(mark, std::string(2 * kSlotBytes, '\0'));
    CHECK_FALSE(whole_or_refused(store.work()));
  }
  SUBCASE("both slots") {
    overwrite(mark, 20, "damage");
    overwrite(mark, kSlotBytes + 20, "damage");
    CHECK_FALSE(whole_or_refused(store.work()));
    CHECK(says(open_error(options_at(store.work())), "neither of its marks is whole"));
  }
  SUBCASE("either slot: the other may be one round behind, as after a torn write") {
    for (const std::size_t slot : {std::size_t{0}, kSlotBytes}) {
      store.fresh();
      overwrite(mark, slot + 20, "damage");
      CHECK(whole_or_refused(store.work()));
      CHECK(whole_or_refused(store.work()));
    }
  }
}

TEST_CASE("a watermark or a database of another time is found") {
  const Killed store;
  store.fresh();
  const std::string old_mark = read_file(store.work() + "/watermark");
  {
    auto opened = open_or_fail(options_at(store.work()));
    for (int i = 0; i < 3; ++i) {
      write_and_wait(*opened, {.hard = HardState{.term = 10u + static_cast<Term>(i), .vote = 1}});
    }
  }
  const std::string new_mark = read_file(store.work() + "/watermark");
  write_file(store.work() + "/watermark", old_mark);
  Error error = open_error(options_at(store.work()));
  CHECK(error.code == ErrorCode::kCorrupt);
  CHECK(says(error, "not the newest"));
  store.fresh();
  write_file(store.work() + "/watermark", new_mark);
  error = open_error(options_at(store.work()));
  CHECK(error.code == ErrorCode::kDataLoss);
  CHECK(says(error, "term 12"));
}

TEST_CASE("a lost database is data loss, not a new one") {
  const Killed store;
  store.fresh();
  SUBCASE("all of it") { std::filesystem::remove_all(store.work() + "/db"); }
  SUBCASE("CURRENT") { std::filesystem::remove(store.work() + "/db/CURRENT"); }
  SUBCASE("its tables") {
    {
      auto flushed = open_or_fail(options_at(store.work()));
    }  // recovery flushes
    for (const auto& table : files_in(store.work(), ".sst")) std::filesystem::remove(table);
  }
  CHECK_FALSE(whole_or_refused(store.work()));
}

TEST_CASE("a flipped bit in any file is found, or does no harm") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  const Killed killed;
  int refused = 0;
  for (const bool flushed : {false, true}) {  // in the WAL, in tables
    const TempDir source;
    const std::string from = source.path() + "/store";
    copy_as_killed(killed.killed(), from);
    if (flushed) open_or_fail(options_at(from));
    for (const std::string& path : files_in(from, "")) {
      const std::size_t size = std::filesystem::file_size(path);
      for (int i = 0; i < (long_tests() ? 60 : 6) && size > 0; ++i) {
        copy_as_killed(from, killed.work());
        const std::string file = killed.work() + path.substr(from.size());
        const std::size_t at = random() % size;
        CAPTURE(path);
        CAPTURE(at);
        overwrite(file, at,
                  std::string(1, static_cast<char>(read_file(file)[at] ^ (1 << random() % 8))));
        if (!whole_or_refused(killed.work())) ++refused;
      }
    }
  }
  CHECK(refused > 0);
}
