// A round is written twice at the same time, into the WAL and into the watermark. Whatever of the
// two is there, or torn, when the store is opened again: what was done is there.
#include <rocksdb/write_batch.h>

#include "tests/raft/store/support/fault_store.h"
#include "tests/raft/store/support/model_log.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

constexpr std::size_t kLarge = limits::kMaxRaftRoundCopyBytes;  // no copy is kept

// The files of a store as they are after each round, and any mixture of them.
class Rounds {
 public:
  Rounds() : store_(open_or_fail(options_at(live()))) { keep(); }

  // One round, which is written and done.
  void write(StoreWrite write) {
    model_.write(write);
    write_and_wait(*store_, std::move(write));
    keep();
  }
  void ride_along(HardState hard, Index compact_to) {
    model_.write({.hard = hard, .sync = false});
    model_.compact(compact_to);
    store_->write({.hard = hard, .sync = false}, {});
    store_->compact(compact_to);
  }
  void save_snapshot(const SnapshotPtr& snapshot) {
    model_.save_snapshot(snapshot);
    Counter done;
    store_->save_snapshot(snapshot, done.one());
    done.wait(1);
    keep();
  }

  std::size_t count() const { return kept_; }
  // The database after round `database`, the watermark after round `mark`, both counted by keep().
  StoreOptions mixed(std::size_t database, std::size_t mark) const {
    copy_as_killed(at(mark), work());
    copy_as_killed(at(database) + "/db", work() + "/db");
    return options_at(work());
  }
  std::string watermark() const { return work() + "/watermark"; }
  std::string kept_watermark(std::size_t round) const { return at(round) + "/watermark"; }
  const LogStorage& model() const { return model_.read(); }

 private:
  std::string live() const { return directory_.path() + "/live"; }
  std::string work() const { return directory_.path() + "/work"; }
  std::string at(std::size_t round) const {
    return directory_.path() + "/round-" + std::to_string(round);
  }
  void keep() { copy_as_killed(live(), at(++kept_)); }

  TempDir directory_;
  std::size_t kept_ = 0;
  MemoryLog model_;
  std::unique_ptr<RaftStore> store_;
};

void check_same(const LogStorage& store, const LogStorage& model) {
  CHECK(store.initial_state().hard == model.initial_state().hard);
  CHECK(store.initial_state().conf == model.initial_state().conf);
  REQUIRE(store.first_index() == model.first_index());
  REQUIRE(store.last_index() == model.last_index());
  const Index end = model.last_index() + 1;
  if (model.first_index() == end) return;
  CHECK(same(*store.entries(store.first_index(), end, kNoLimit),
             *model.entries(model.first_index(), end, kNoLimit)));
}

StoreWrite vote(Term term) { return {.hard = HardState{.term = term, .vote = 1 + term % 3}}; }

// Three rounds of entries; the last is of `size` bytes.
void write_three(Rounds& rounds, std::size_t size) {
  rounds.write({.hard = HardState{.term = 1, .vote = 1}, .entries = entries_from(1, 10, 1)});
  rounds.write({.entries = entries_from(11, 10, 1)});
  rounds.write({.hard = HardState{.term = 2, .vote = 2}, .entries = entries_from(15, 1, 2, size)});
}

}  // namespace

TEST_CASE("a round that only the copy holds is there again, with all that rode along") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  Rounds rounds;
  Term term = 1;
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    const Index last = rounds.model().last_index();
    const bool overwrites = last > rounds.model().first_index() && random() % 3 == 0;
    const Index from = overwrites ? last - random() % 2 : last + 1;
    if (overwrites) ++term;
    if (last > 0 && random() % 4 == 0) {
      const Index snapshot = (*rounds.model().snapshot())->meta.index;
      rounds.ride_along({.term = term, .vote = 1, .commit = from - 1}, snapshot);
    }
    rounds.write({.hard = HardState{.term = term, .vote = random() % 4, .commit = from - 1},
                  .entries = entries_from(from, random() % 5, term, random() % 9'000)});
    const auto newest = rounds.count();
    for (int start = 0; start < 2; ++start) {
      const auto options = start == 0 ? rounds.mixed(newest - 1, newest)
                                      : options_at(rounds.mixed(newest, newest).path);
      const auto store = open_or_fail(options);
      check_same(*store, rounds.model());
      write_and_wait(*store, vote(term + 1));  // it goes on from there
    }
    if (round % 10 == 5) {
      const Index index = rounds.model().last_index();
      rounds.save_snapshot(snapshot_at(index, *rounds.model().term(index), 5'000));
    }
  }
}

TEST_CASE("a database that ends before its copy can be put on top is data loss") {
  Rounds rounds;
  write_three(rounds, 500);
  for (std::size_t behind = 2; behind <= 3; ++behind) {
    CAPTURE(behind);
    const Error error = open_error(rounds.mixed(rounds.count() - behind, rounds.count()));
    INFO(error.message);
    CHECK(error.code == ErrorCode::kDataLoss);
    CHECK(says(error, "(term 2, vote 2, last index 15)"));
    CHECK(says(error, kWhatToDo));
  }
}

TEST_CASE("a large round, and one with a snapshot, are marked after the WAL and not copied") {
  Rounds rounds;
  SUBCASE("large") { write_three(rounds, kLarge); }
  SUBCASE("with a snapshot") {
    rounds.write({.entries = entries_from(1, 10, 1)});
    rounds.save_snapshot(snapshot_at(5, 1, 100));
  }
  check_same(*open_or_fail(rounds.mixed(rounds.count(), rounds.count() - 1)), rounds.model());
  check_same(*open_or_fail(rounds.mixed(rounds.count(), rounds.count())), rounds.model());
  CHECK(open_error(rounds.mixed(rounds.count() - 1, rounds.count())).code == ErrorCode::kDataLoss);
}

TEST_CASE("a copy that is torn anywhere leaves the round before it") {
  Rounds rounds;
  write_three(rounds, 20'000);
  const std::size_t newest = rounds.count();
  const std::string before = read_file(rounds.kept_watermark(newest - 1));
  const std::string after = read_file(rounds.kept_watermark(newest));
  REQUIRE(before.size() == after.size());
  const std::size_t slot =
      before.compare(0, kSlotBytes, after, 0, kSlotBytes) != 0 ? 0 : kSlotBytes;
  std::size_t end = slot + kSlotBytes;
  while (before[end - 1] == after[end - 1]) --end;
  CHECK(end - slot > 20'000);
  for (const std::size_t cut :
       {slot + 12, slot + 60, slot + 200, slot + 4'096, slot + 8'192, end - 9, end - 1}) {
    CAPTURE(cut);
    for (const bool front_is_new : {true, false}) {
      CAPTURE(front_is_new);
      const std::string& front = front_is_new ? after : before;
      const std::string& back = front_is_new ? before : after;
      const std::string torn = front.substr(0, cut) + back.substr(cut);
      const auto with_wal = rounds.mixed(newest, newest - 1);
      write_file(rounds.watermark(), torn);
      check_same(*open_or_fail(with_wal), rounds.model());
      const auto without_wal = rounds.mixed(newest - 1, newest - 1);
      write_file(rounds.watermark(), torn);
      const auto store = open_or_fail(without_wal);
      CHECK(store->last_index() == 20);
      CHECK(store->initial_state().hard == HardState{.term = 1, .vote = 1});
    }
  }
}

TEST_CASE("the two syncs of a small round run at the same time, and it is done after both") {
  for (const bool wal_hangs : {true, false}) {
    CAPTURE(wal_hangs);
    const FileKind hangs = wal_hangs ? FileKind::kWal : FileKind::kWatermark;
    const FileKind goes_on = wal_hangs ? FileKind::kWatermark : FileKind::kWal;
    FaultStore fixture;
    auto store = open_or_fail(fixture.options, fixture.disk);
    const std::uint64_t before = fixture.disk->syncs(goes_on);
    fixture.disk->hang_syncs(hangs);
    Counter done;
    store->write({.entries = entries_from(1, 1, 1)}, done.one());
    fixture.disk->wait_until_hanging();
    wait_until([&] { return fixture.disk->syncs(goes_on) == before + 1; });
    // The next round waits, too: so the two are never further apart.
    store->write({.entries = entries_from(2, 1, 1)}, done.one());
    wait_until([&] { return store->oldest_write_age_ms() > 20; });
    CHECK(fixture.disk->syncs(goes_on) == before + 1);
    CHECK(done.count() == 0);
    fixture.disk->release();
    done.wait(2);
  }
}

TEST_CASE("nothing of a large round is in the watermark while its WAL is not synced") {
  FaultStore fixture;
  auto store = open_or_fail(fixture.options, fixture.disk);
  const std::uint64_t before = fixture.disk->written_bytes(FileKind::kWatermark);
  fixture.disk->hang_syncs(FileKind::kWal);
  Counter done;
  store->write({.entries = entries_from(1, 1, 1, kLarge)}, done.one());
  fixture.disk->wait_until_hanging();
  wait_until([&] { return store->oldest_write_age_ms() > 20; });
  CHECK(fixture.disk->written_bytes(FileKind::kWatermark) == before);
  fixture.disk->release();
  done.wait(1);
  CHECK(fixture.disk->written_bytes(FileKind::kWatermark) > before);
}

TEST_CASE("power fails between the two syncs: whichever was durable has the round") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  for (std::uint64_t at = 0; at < 40; ++at) {
    CAPTURE(at);
    const FileKind durable = at % 2 == 0 ? FileKind::kWal : FileKind::kWatermark;
    const FileKind lost = at % 2 == 0 ? FileKind::kWatermark : FileKind::kWal;
    FaultStore fixture(seed + at);
    {
      auto store = open_or_fail(fixture.options, fixture.disk);
      write_and_wait(*store, {.hard = HardState{.term = 1, .vote = 1},
                              .entries = entries_from(1, 10, 1, 100 + at * 40)});
      const std::uint64_t before = fixture.disk->syncs(durable);
      fixture.disk->fail_syncs(lost, true);
      Counter told;
      store->on_failure([told](const Error&) mutable { told.one()(); });
      store->write({.hard = HardState{.term = 2, .vote = 2},
                    .entries = entries_from(9, 4, 2, 100 + at * 300)},
                   {});
      told.wait(1);
      CHECK(fixture.disk->syncs(durable) == before + 1);
      fixture.disk->lose_power_at(fixture.disk->operations());  // not even a clean close
    }
    fixture.disk->fail_syncs(lost, false);
    for (int start = 0; start < 3; ++start) {  // what was read once stays
      fixture.disk->lose_power();
      const auto store = open_or_fail(fixture.options, fixture.disk);
      CHECK(store->initial_state().hard == HardState{.term = 2, .vote = 2});
      CHECK(store->last_index() == 12);
      CHECK(same(*store->entries(9, 13, kNoLimit), entries_from(9, 4, 2, 100 + at * 300)));
      fixture.disk->lose_power_at(fixture.disk->operations());
    }
  }
}
