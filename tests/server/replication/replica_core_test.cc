#include "server/replication/replica_core.h"

#include <doctest/doctest.h>

namespace andyx::server {
namespace {

using Kind = FetchAnswer::Kind;

// Node 2, with ten records: 0..6 of epoch 1, 6..10 of epoch 3; all durable, six committed.
struct Fixture {
  Fixture() {
    copy.end = copy.durable = 10;
    copy.committed = 6;
    copy.epochs.record(1, 0);
    copy.epochs.record(3, 6);
  }

  // The newest fetch that was sent, after all actions were taken.
  const FetchEntry& take() {
    stored.reset();
    cut.reset();
    failing.reset();
    fetches.clear();
    for (const ReplicaAction& action : core.take_actions()) {
      if (const auto* fetch = std::get_if<SendFetch>(&action)) {
        fetches.push_back(*fetch);
        if (!fetch->entry.progress_only) last = fetch->entry;
      }
      if (const auto* store = std::get_if<StoreBatches>(&action)) stored = *store;
      if (const auto* log = std::get_if<CutLog>(&action)) cut = *log;
      if (const auto* pulls = std::get_if<PullsFailing>(&action)) failing = pulls->failing;
    }
    return last;
  }
  FetchAnswer answer(Kind kind) {
    return {.kind = kind,
            .main_epoch = core.epoch(),
            .incarnation = 20,
            .request = last.request,
            .from = copy.end,
            .to = copy.end};
  }
  Status take_answer(const FetchAnswer& answer, std::vector<BatchSpan> batches = {}) {
    const Status status = core.answered(answer, batches, now);
    take();
    return status;
  }
  void follow(MainEpoch epoch, NodeId main) {
    core.follow(epoch, main, now);
    take();
  }

  LocalCopy copy;
  ReplicaCore core{2, 20, copy, 1, {.parked_timeout_ms = 10'000}};
  std::uint64_t now = 5'000;
  FetchEntry last;
  std::vector<SendFetch> fetches;
  std::optional<StoreBatches> stored;
  std::optional<CutLog> cut;
  std::optional<bool> failing;
};

TEST_CASE("a fetch says where the log ends, in which epoch, and what is durable") {
  Fixture f;
  f.follow(4, 1);
  REQUIRE(f.fetches.size() == 1);
  CHECK(f.fetches[0].main == 1);
  CHECK(f.last == FetchEntry{.replica = 2,
                             .incarnation = 20,
                             .main_epoch = 4,
                             .request = 1,
                             .fetch_offset = 10,
                             .last_epoch = 3,
                             .durable = 10});
  f.follow(3, 3);  // older: nothing changes
  CHECK(f.core.main() == 1);
  CHECK(f.fetches.empty());
}

TEST_CASE("records are stored and the next are fetched; committed ends at what is durable here") {
  Fixture f;
  f.follow(4, 1);
  FetchAnswer answer = f.answer(Kind::kMatched);
  answer.to = 14;
  answer.committed = 13;
  REQUIRE(f.take_answer(answer, {{3, 10, 12}, {4, 12, 14}}));
  CHECK(f.stored->from == 10);
  CHECK(f.stored->to == 14);
  CHECK(f.last.fetch_offset == 14);
  CHECK(f.last.last_epoch == 4);
  CHECK(f.last.durable == 10);
  CHECK(f.copy.committed == 10);
  f.core.durable(12, f.now);
  CHECK(f.copy.committed == 12);
  f.take();
  REQUIRE(f.fetches.size() == 1);  // told at once, while the poll is out
  CHECK(f.fetches[0].entry.progress_only);
  CHECK(f.fetches[0].entry.durable == 12);
  f.core.durable(14, f.now);
  CHECK(f.copy.committed == 13);
}

TEST_CASE("the log is cut by epoch and offset, never to the committed offset") {
  Fixture f;
  f.follow(4, 1);
  FetchAnswer answer = f.answer(Kind::kDiverged);
  answer.epoch = 3;
  answer.epoch_end = 8;
  REQUIRE(f.take_answer(answer));
  REQUIRE(f.cut);
  CHECK(f.cut->from == 8);
  CHECK_FALSE(f.cut->restart_at);
  CHECK(f.fetches.empty());
  f.core.log_cut(f.now);
  CHECK(f.take().fetch_offset == 8);
  CHECK(f.copy.committed == 6);

  answer = f.answer(Kind::kDiverged);  // the main has no record of epoch 3, and more of epoch 1
  answer.epoch = 1;
  answer.epoch_end = 20;
  REQUIRE(f.take_answer(answer));
  CHECK(f.cut->from == 6);
  f.core.log_cut(f.now);
  CHECK(f.take().last_epoch == 1);
}

TEST_CASE("with nothing in common the log begins anew where the main's does") {
  Fixture f;
  f.follow(4, 1);
  FetchAnswer answer = f.answer(Kind::kReset);
  answer.start = 50;
  REQUIRE(f.take_answer(answer));
  REQUIRE(f.cut);
  CHECK(f.cut->restart_at == 50);
  f.core.log_cut(f.now);
  CHECK(f.copy.start == 50);
  CHECK(f.take().fetch_offset == 50);
  CHECK(f.last.last_epoch == 0);
}

TEST_CASE("a cut waits for the writes under way, and is dropped when they were refused") {
  Fixture f;
  f.follow(4, 1);
  f.copy.end = 12;  // two records are not durable yet
  FetchAnswer answer = f.answer(Kind::kDiverged);
  answer.epoch = 3;
  answer.epoch_end = 11;
  REQUIRE(f.take_answer(answer));
  CHECK_FALSE(f.cut);
  SUBCASE("written") {
    f.core.durable(12, f.now);
    f.take();
    REQUIRE(f.cut);
    CHECK(f.cut->from == 11);
  }
  SUBCASE("refused") {
    f.core.store_refused(10, f.now);
    f.take();
    CHECK_FALSE(f.cut);
    f.now += 50;
    f.core.tick(f.now);
    CHECK(f.take().fetch_offset == 10);
    CHECK(f.fetches.size() == 1);
  }
}

TEST_CASE("answers to another request, epoch or life are dropped") {
  Fixture f;
  f.follow(4, 1);
  const FetchAnswer first = f.answer(Kind::kDiverged);
  FetchAnswer answer = f.answer(Kind::kMatched);
  answer.to = 11;
  REQUIRE(f.take_answer(answer, {{4, 10, 11}}));
  // Once more, late: the log has changed since.
  CHECK(f.take_answer(answer, {{4, 10, 11}}).error().code == ErrorCode::kNotMain);
  CHECK(f.take_answer(first).error().code == ErrorCode::kNotMain);
  CHECK_FALSE(f.cut);
  answer = f.answer(Kind::kReset);
  answer.incarnation = 19;
  CHECK(f.take_answer(answer).error().code == ErrorCode::kNotMain);
  CHECK_FALSE(f.cut);
  answer = f.answer(Kind::kMatched);
  f.follow(5, 3);
  answer.request = f.last.request;
  CHECK(f.take_answer(answer).error().code == ErrorCode::kNotMain);
  CHECK(f.copy.end == 11);
}

TEST_CASE("batches that do not continue the log are refused, and nothing has changed") {
  Fixture f;
  f.follow(4, 1);
  const FetchAnswer answer = f.answer(Kind::kMatched);
  const auto refused = [&](std::vector<BatchSpan> batches) {
    return f.take_answer(answer, batches).error().code == ErrorCode::kBadBatch && f.copy.end == 10;
  };
  CHECK(refused({{4, 11, 12}}));
  CHECK(refused({{4, 10, 12}, {4, 13, 14}}));
  CHECK(refused({{4, 10, 10}}));
  CHECK(refused({{2, 10, 12}}));  // after records of epoch 3
  CHECK(refused({{5, 10, 12}}));  // of an epoch that has not begun
  FetchAnswer elsewhere = answer;
  elsewhere.from = 9;
  CHECK(f.take_answer(elsewhere, {{4, 9, 12}}).error().code == ErrorCode::kBadBatch);
}

TEST_CASE("nothing is reported before the main has found the logs to match") {
  Fixture f;
  f.copy.durable = 8;
  f.follow(4, 1);
  f.core.durable(10, f.now);
  f.take();
  CHECK(f.fetches.empty());
  REQUIRE(f.take_answer(f.answer(Kind::kMatched)));
  CHECK(f.last.durable == 10);
  f.copy.durable = 9;
  f.core.durable(10, f.now);
  f.take();
  CHECK(f.fetches.size() == 1);
}

TEST_CASE("a main that cannot be pulled from is reported after a second, and when it can again") {
  Fixture f;
  f.follow(4, 1);
  f.now += 999;
  f.core.tick(f.now);
  f.take();
  CHECK_FALSE(f.failing);
  f.now += 1;
  f.core.tick(f.now);
  f.take();
  CHECK(f.failing == true);
  CHECK(f.fetches.size() == 1);  // and asked again
  REQUIRE(f.take_answer(f.answer(Kind::kRefused)));
  CHECK_FALSE(f.failing);
  f.now += 50;
  f.core.tick(f.now);
  f.take();
  CHECK(f.fetches.size() == 1);
  REQUIRE(f.take_answer(f.answer(Kind::kMatched)));
  CHECK(f.failing == false);
}

TEST_CASE("a poll waits as long as the main has been heard, and then asks for an answer at once") {
  Fixture f;
  f.follow(4, 1);
  CHECK(f.fetches.at(0).at_once);  // nothing is known of this epoch
  REQUIRE(f.take_answer(f.answer(Kind::kMatched)));
  CHECK_FALSE(f.fetches.at(0).at_once);
  f.now += 9'999;
  f.core.tick(f.now);
  f.take();
  CHECK(f.fetches.empty());
  CHECK_FALSE(f.failing);
  f.now += 1;  // the main should have answered, if only that there is nothing new
  f.core.tick(f.now);
  f.take();
  CHECK(f.fetches.at(0).at_once);
  CHECK_FALSE(f.failing);
  f.now += 1'000;
  f.core.tick(f.now);
  f.take();
  CHECK(f.failing == true);
  REQUIRE(f.take_answer(f.answer(Kind::kMatched)));
  CHECK(f.failing == false);
  CHECK_FALSE(f.fetches.at(0).at_once);
}

TEST_CASE("after a refusal the main is in doubt until it answers well, however long it is quiet") {
  Fixture f;
  f.follow(4, 1);
  REQUIRE(f.take_answer(f.answer(Kind::kMatched)));
  f.now += 5'000;
  REQUIRE(f.take_answer(f.answer(Kind::kRefused)));
  CHECK(f.core.in_doubt());
  f.now += 50;
  f.core.tick(f.now);
  f.take();
  CHECK(f.fetches.at(0).at_once);
  CHECK_FALSE(f.failing);  // since 50 ms only
  REQUIRE(f.take_answer(f.answer(Kind::kMatched)));
  CHECK_FALSE(f.core.in_doubt());
}

TEST_CASE("retention follows the main, and not over what is committed here") {
  Fixture f;
  f.follow(4, 1);
  FetchAnswer answer = f.answer(Kind::kMatched);
  answer.start = 9;
  answer.committed = 8;
  REQUIRE(f.take_answer(answer));
  CHECK(f.copy.start == 8);
}

}  // namespace
}  // namespace andyx::server
