// Rows that are gone or changed in a database that RocksDB itself finds in order: each is found.
#include <rocksdb/db.h>

#include "raft/store/rows.h"
#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

// A closed store with a snapshot of three parts and entries of two terms.
class Closed {
 public:
  Closed() {
    auto store = open_or_fail(options());
    write_and_wait(*store,
                   {.hard = HardState{.term = 1, .vote = 1}, .entries = entries_from(1, 20, 1)});
    write_and_wait(*store, {.entries = entries_from(15, 20, 2)});
    Counter done;
    store->save_snapshot(snapshot_at(8, 1, 2 * kSnapshotPartBytes + 1), done.one());
    done.wait(1);
  }

  StoreOptions options() const { return options_at(directory_.path()); }

  void change(const std::function<void(rocksdb::DB&)>& change) const {
    rocksdb::DB* opened = nullptr;
    REQUIRE(rocksdb::DB::Open(rocksdb::Options(), directory_.path() + "/db", &opened).ok());
    const std::unique_ptr<rocksdb::DB> db(opened);
    change(*db);
  }
  void remove(const std::string& key) const {
    change([&](rocksdb::DB& db) { REQUIRE(db.Delete(rocksdb::WriteOptions(), key).ok()); });
  }
  void replace(const std::string& key, const std::function<void(std::string&)>& edit) const {
    change([&](rocksdb::DB& db) {
      std::string row;
      REQUIRE(db.Get(rocksdb::ReadOptions(), key, &row).ok());
      edit(row);
      REQUIRE(db.Put(rocksdb::WriteOptions(), key, row).ok());
    });
  }

  void check_refused(ErrorCode code, std::string_view words) const {
    for (int start = 0; start < 2; ++start) {
      const Error error = open_error(options());
      INFO(error.message);
      CHECK(error.code == code);
      CHECK(says(error, words));
      CHECK(says(error, kWhatToDo));
    }
  }

 private:
  TempDir directory_;
};

void flip(std::string& row) { row[row.size() / 2] ^= 1; }

void put_entry(rocksdb::DB& db, const Entry& entry, Term previous_term) {
  const EntryHead head = encode_entry_head(entry, previous_term);
  REQUIRE(db.Put(rocksdb::WriteOptions(), entry_key(entry.index),
                 std::string(head.data(), head.size()) + text_of(entry.data))
              .ok());
}

}  // namespace

TEST_CASE("a damaged, short or missing snapshot is refused by its index") {
  const Closed store;
  const std::string words = "snapshot at index 8 is ";
  SUBCASE("a part is damaged") {
    store.replace(snapshot_part_key(8, 1), flip);
    store.check_refused(ErrorCode::kCorrupt, words + "damaged");
  }
  SUBCASE("a part is missing") {
    store.remove(snapshot_part_key(8, 0));
    store.check_refused(ErrorCode::kCorrupt, words + "damaged");
  }
  SUBCASE("the last part is missing") {
    store.remove(snapshot_part_key(8, 2));
    store.check_refused(ErrorCode::kCorrupt, words + "damaged");
  }
  SUBCASE("a part is too many") {
    store.change([](rocksdb::DB& db) {
      REQUIRE(db.Put(rocksdb::WriteOptions(), snapshot_part_key(8, 3), "x").ok());
    });
    store.check_refused(ErrorCode::kCorrupt, words + "damaged");
  }
  SUBCASE("its row is damaged") {
    store.replace(snapshot_key(8), flip);
    store.check_refused(ErrorCode::kCorrupt, words + "damaged");
  }
  SUBCASE("its row is missing") {
    store.remove(snapshot_key(8));
    store.check_refused(ErrorCode::kCorrupt, words + "damaged");
  }
  SUBCASE("all of it is missing") {
    for (std::uint32_t part = 0; part < 3; ++part) store.remove(snapshot_part_key(8, part));
    store.remove(snapshot_key(8));
    store.check_refused(ErrorCode::kCorrupt, words + "missing");
  }
}

TEST_CASE("an entry that is damaged, missing, or of an overwritten log is refused") {
  const Closed store;
  SUBCASE("damaged") {
    store.replace(entry_key(9), flip);
    store.check_refused(ErrorCode::kCorrupt, "entry 9 ");
  }
  SUBCASE("missing in the middle") {
    store.remove(entry_key(20));
    store.check_refused(ErrorCode::kDataLoss, "entry 20 ");
  }
  SUBCASE("missing at the end") {
    store.remove(entry_key(34));
    store.check_refused(ErrorCode::kDataLoss, "entry 34 ");
  }
  SUBCASE("a write that overwrote it is missing") {
    store.change([](rocksdb::DB& db) { put_entry(db, entry_at(16, 1), 1); });
    store.check_refused(ErrorCode::kDataLoss, "does not hold together");
  }
  SUBCASE("the last write is missing") {
    store.change([](rocksdb::DB& db) { put_entry(db, entry_at(34, 1), 2); });
    store.check_refused(ErrorCode::kDataLoss, "does not hold together");
  }
}

TEST_CASE("a lost or changed state is refused") {
  const Closed store;
  SUBCASE("missing") {
    store.remove(state_key());
    store.check_refused(ErrorCode::kDataLoss, "synced up to round");
  }
  SUBCASE("damaged") {
    store.replace(state_key(), flip);
    store.check_refused(ErrorCode::kCorrupt, "state is damaged");
  }
  SUBCASE("another vote in the same round") {
    store.replace(state_key(), [](std::string& row) {
      StoreState state = *decode_state(row);
      state.vote = 3;
      row = encode_state(state);
    });
    store.check_refused(ErrorCode::kCorrupt, "contradict each other");
  }
}

TEST_CASE("parts of a snapshot whose round never came are removed") {
  const Closed store;
  store.change([](rocksdb::DB& db) {
    for (std::uint32_t part = 0; part < 3; ++part) {
      REQUIRE(db.Put(rocksdb::WriteOptions(), snapshot_part_key(99, part), "part").ok());
    }
  });
  CHECK((*open_or_fail(store.options())->snapshot())->meta.index == 8);
  store.change([](rocksdb::DB& db) {
    std::string row;
    CHECK(db.Get(rocksdb::ReadOptions(), snapshot_part_key(99, 0), &row).IsNotFound());
    CHECK(db.Get(rocksdb::ReadOptions(), snapshot_part_key(8, 0), &row).ok());
  });
}

TEST_CASE("the rows of a replaced snapshot, and of forgotten entries, are gone") {
  const Closed store;
  {
    auto opened = open_or_fail(store.options());
    opened->compact(8);
    write_and_wait(*opened, {.entries = entries_from(30, 1, 3)});
    write_and_wait(*opened, {.snapshot = snapshot_at(60, 3, 10)});
  }
  store.change([](rocksdb::DB& db) {
    const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(rocksdb::ReadOptions()));
    std::vector<std::string> keys;
    for (it->SeekToFirst(); it->Valid(); it->Next()) keys.push_back(it->key().ToString());
    CHECK(keys ==
          std::vector<std::string>{snapshot_key(60), snapshot_part_key(60, 0), state_key()});
  });
}
