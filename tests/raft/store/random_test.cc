// Random writes, overwrites, snapshots, compactions and reopens, against the twin in memory.
#include "tests/raft/store/support/model_log.h"
#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

class Workload {
 public:
  Workload(std::uint64_t seed, StoreOptions options)
      : random_(seed), options_(std::move(options)), store_(open_or_fail(options_)) {}

  void step() {
    switch (draw(12)) {
      case 0:
        received_snapshot();
        break;
      case 1:
        own_snapshot();
        break;
      case 2:
        compact();
        break;
      case 3:
        reopen();
        break;
      case 4:
        commit();
        break;
      case 5:
      case 6:
        overwrite();
        break;
      default:
        append(last() + 1);
        break;
    }
    compare();
  }

 private:
  std::uint64_t draw(std::uint64_t bound) { return random_() % bound; }
  Index first() const { return model_.read().first_index(); }
  Index last() const { return model_.read().last_index(); }
  Term last_term() const { return *model_.read().term(last()); }

  void write(StoreWrite write) {
    model_.write(write);
    store_->write(std::move(write), done_.one());
    ++writes_;
  }
  void append(Index from) {
    term_ = std::max(term_, last_term()) + (draw(4) == 0 ? 1 : 0);
    if (from <= last()) ++term_;  // an entry is named by index and term
    write({.hard = HardState{.term = term_, .vote = draw(4), .commit = hard_commit()},
           .entries = entries_from(from, 1 + draw(5), term_, draw(300))});
  }
  void overwrite() {  // what a snapshot holds is committed, and stays
    const Index from = std::max(first(), (*model_.read().snapshot())->meta.index + 1);
    if (last() >= from) append(from + draw(last() + 1 - from));
  }
  void commit() {
    write({.hard = HardState{.term = term_, .vote = 1, .commit = last()}, .sync = false});
  }
  Index hard_commit() const { return model_.read().initial_state().hard.commit; }
  void received_snapshot() {
    term_ += draw(2);
    const Index index = std::max<Index>(1, last() + draw(10));  // no leader has one at index 0
    StoreWrite snapshot{.snapshot =
                            snapshot_at(index, std::max(term_, last_term()), draw(700'000))};
    if (draw(2) == 0 && index > (*model_.read().snapshot())->meta.index) {
      term_ = std::max(term_, last_term());
      snapshot.entries = entries_from(index + 1, 1 + draw(3), term_);
    }
    write(std::move(snapshot));
  }
  void own_snapshot() {
    if (last() < first()) return;
    const Index index = first() + draw(last() + 1 - first());
    const SnapshotPtr snapshot = snapshot_at(index, *model_.read().term(index), draw(600'000));
    model_.save_snapshot(snapshot);
    store_->save_snapshot(snapshot, done_.one());
    ++writes_;
  }
  void compact() {
    const Index index = draw(last() + 2);
    store_->compact(index);
    model_.compact(index);
  }
  void reopen() {
    if (draw(2) == 0) {
      done_.wait(writes_);
      const std::string copy = options_.path + "-killed";  // without a clean close
      copy_as_killed(options_.path, copy);
      REQUIRE(RaftStore::open(options_at(copy)));
    }
    store_.reset();
    CHECK(done_.count() == writes_);
    store_ = open_or_fail(options_);
  }

  void compare() {
    const LogStorage& model = model_.read();
    REQUIRE(store_->first_index() == model.first_index());
    REQUIRE(store_->last_index() == model.last_index());
    REQUIRE(store_->initial_state().hard == model.initial_state().hard);
    REQUIRE(store_->initial_state().conf == model.initial_state().conf);
    const SnapshotPtr snapshot = *store_->snapshot(), expected = *model.snapshot();
    REQUIRE(snapshot->meta == expected->meta);
    REQUIRE(std::ranges::equal(snapshot->data.span(), expected->data.span()));
    for (Index index = first() - 1; index <= last(); ++index) {
      REQUIRE(store_->term(index) == model.term(index));
    }
    if (last() < first()) return;
    const Index low = first() + draw(last() + 1 - first());
    const Index high = low + 1 + draw(last() + 1 - low);
    const std::uint64_t bytes = draw(3) == 0 ? kNoLimit : draw(2'000);
    REQUIRE(same(*store_->entries(low, high, bytes), *model.entries(low, high, bytes)));
  }

  std::mt19937_64 random_;
  const StoreOptions options_;
  std::unique_ptr<RaftStore> store_;
  MemoryLog model_;
  Counter done_;
  std::size_t writes_ = 0;
  Term term_ = 1;
};

}  // namespace

TEST_CASE("random work leaves the store as its twin in memory") {
  const std::uint64_t seed = test_seed();
  MESSAGE("ANDYX_TEST_SEED=", seed);
  const int steps = long_tests() ? 20'000 : 1'500;
  for (const std::uint64_t cache_bytes : {0ull, 2'000ull, 32ull << 20}) {
    CAPTURE(cache_bytes);
    const TempDir directory;
    StoreOptions options = options_at(directory.path() + "/store");
    options.cache_bytes = cache_bytes;
    Workload workload(seed, options);
    for (int step = 0; step < steps; ++step) {
      CAPTURE(step);
      workload.step();
    }
  }
}
