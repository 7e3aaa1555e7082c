#include "tests/server/replication/main_core_fixture.h"

namespace andyx::server::main_core_test {
namespace {

TEST_CASE("a new main serves only when its log end at election is committed") {
  Fixture f;
  CHECK_FALSE(f.core().serving());
  f.fetch(2, 10, 4, 10);
  CHECK_FALSE(f.core().serving());
  CHECK(f.copy.committed == 0);
  f.fetch(3, 10, 4, 9);
  CHECK(f.copy.committed == 9);
  CHECK_FALSE(f.core().serving());
  f.progress(3, 10);
  CHECK(f.core().serving());
}

TEST_CASE("a quorum ack waits for the whole set, a main ack for this disk, none for nothing") {
  Fixture f;
  f.all_follow();
  f.append(11, Acks::quorum, 1);
  f.append(12, Acks::main, 2);
  f.append(13, Acks::none, 3);
  CHECK(f.acknowledged(3));
  f.core().durable(13, f.now);
  CHECK(f.acknowledged(2));
  f.fetch(2, 13, 5, 13);
  f.fetch(3, 13, 5, 10);
  f.take();
  CHECK(f.acked.empty());
  f.progress(3, 11);
  CHECK(f.acknowledged(1));
  CHECK(f.copy.committed == 11);
}

TEST_CASE("a diverging replica is told how far the main has its epoch, and counts for nothing") {
  Fixture f;
  f.copy.epochs = {};
  f.copy.epochs.record(2, 0);
  f.copy.epochs.record(4, 6);
  f.fetch(2, 12, 3, 12);  // the main has nothing of epoch 3
  CHECK(f.answer().kind == Kind::kDiverged);
  CHECK(f.answers[0].answer.epoch == 2);
  CHECK(f.answers[0].answer.epoch_end == 6);
  CHECK_FALSE(f.core().durable_of(2));
  f.fetch(2, 14, 4, 14);  // longer than the main's
  CHECK(f.answer().kind == Kind::kDiverged);
  CHECK(f.answers[0].answer.epoch_end == 10);
  f.fetch(2, 12, 1, 12);  // older than all that is known
  CHECK(f.answer().kind == Kind::kReset);
  f.progress(2, 10);
  CHECK_FALSE(f.core().durable_of(2));
  f.fetch(2, 6, 2, 6);
  CHECK(f.answer().kind == Kind::kMatched);
  CHECK(f.answers[0].answer.from == 6);
  CHECK(f.answers[0].answer.to == 10);
  CHECK(f.core().durable_of(2) == 6);
}

TEST_CASE("a replica behind the start of the log begins anew there") {
  Fixture f;
  f.all_follow();
  f.core().start_advanced(8);
  f.fetch(2, 5, 4, 5);
  CHECK(f.answer().kind == Kind::kReset);
  CHECK(f.answers[0].answer.start == 8);
  f.fetch(2, 8, 0, 8);
  CHECK(f.answer().kind == Kind::kMatched);
  f.fetch(2, 9, 0, 9);  // empty, but it would lack a record that the main keeps
  CHECK(f.answer().kind == Kind::kReset);
}

TEST_CASE("foreign, stale and malformed entries are refused and change nothing") {
  Fixture f;
  f.all_follow();
  const auto refused = [&](FetchEntry entry, FetchRefusal why) {
    f.fetch(entry);
    const FetchAnswer& answer = f.answer();
    return answer.kind == Kind::kRefused && answer.refusal == why &&
           answer.request == entry.request;
  };
  FetchEntry entry = f.entry(2, 10, 4, 10);
  entry.main_epoch = 4;
  CHECK(refused(entry, FetchRefusal::kWrongEpoch));
  entry.main_epoch = 6;
  CHECK(refused(entry, FetchRefusal::kWrongEpoch));
  CHECK(refused(f.entry(7, 10, 4, 10), FetchRefusal::kUnknownReplica));
  entry = f.entry(2, 10, 4, 10);
  entry.incarnation = 19;
  CHECK(refused(entry, FetchRefusal::kStaleIncarnation));
  CHECK(refused(f.entry(2, 9, 4, 10), FetchRefusal::kMalformed));
  CHECK(refused(f.entry(2, 10, 6, 10), FetchRefusal::kMalformed));
  CHECK_FALSE(f.core().resigned());
  CHECK(f.copy.committed == 10);
}

TEST_CASE("a parked poll is answered by records, by the committed offset, and at its deadline") {
  Fixture f;
  f.all_follow();
  f.fetch(2, 10, 4, 10);  // told what is committed
  f.fetch(3, 10, 4, 10);
  f.take();
  f.fetch(2, 10, 4, 10);
  f.take();
  CHECK(f.answers.empty());
  f.append(11, Acks::quorum, 1);
  CHECK(f.answer().to == 11);
  f.core().durable(11, f.now);
  f.fetch(2, 11, 5, 11);
  f.take();
  CHECK(f.answers.empty());
  f.fetch(3, 11, 5, 11);  // now it is committed: both hear of it
  f.take();
  CHECK(f.answers.size() == 2);
  CHECK(f.answers[0].answer.committed == 11);
  f.fetch(2, 11, 5, 11);
  f.now += 399;
  f.core().tick(f.now);
  f.take();
  CHECK(f.answers.empty());
  f.now += 1;
  f.core().tick(f.now);
  CHECK(f.answer().from == 11);
}

TEST_CASE("a poll that may not wait is answered at once, with nothing") {
  Fixture f;
  f.all_follow();
  f.fetch(2, 10, 4, 10);  // told what is committed
  f.take();
  f.core().fetch(f.entry(2, 10, 4, 10), f.now, f.now);
  const FetchAnswer answer = f.answer();
  CHECK(answer.kind == FetchAnswer::Kind::kMatched);
  CHECK(answer.from == 10);
  CHECK(answer.to == 10);
}

TEST_CASE("a duplicate is answered when its original is as durable as asked") {
  Fixture f;
  f.all_follow();
  f.append(11, Acks::quorum, 1);
  f.core().duplicate(11, Acks::main, 2, f.now);
  f.core().duplicate(11, Acks::quorum, 3, f.now);
  f.take();
  CHECK(f.acked.empty());
  f.core().durable(11, f.now);
  CHECK(f.acknowledged(2));
  f.fetch(2, 11, 5, 11);
  f.fetch(3, 11, 5, 11);
  f.take();
  CHECK(f.acked.size() == 2);
}

TEST_CASE("cut off from the controller only quorum appends go on") {
  Fixture f;
  f.all_follow();
  f.append(11, Acks::main, 1);
  f.now += 1'500;
  CHECK(f.core().may_append(Acks::main, f.now).error().code == ErrorCode::kNotMain);
  CHECK(f.core().may_append(Acks::none, f.now).error().code == ErrorCode::kNotMain);
  CHECK(f.core().may_append(Acks::quorum, f.now));
  f.core().durable(11, f.now);  // looked at when it is answered
  CHECK(f.acknowledged(1, ErrorCode::kTimedOut));
  f.core().controller_answered(f.now - 10);
  CHECK(f.core().may_append(Acks::main, f.now));
}

TEST_CASE("a higher epoch ends it: everything in flight is maybe stored, polls are refused") {
  Fixture f;
  f.all_follow();
  f.fetch(2, 10, 4, 10);
  f.take();
  f.fetch(2, 10, 4, 10);
  f.append(11, Acks::quorum, 1);
  f.take();
  f.fetch(2, 11, 5, 10);
  f.record.main = 2;
  f.record.main_epoch = 6;
  ++f.record.version;
  f.core().image_moved(f.record, f.now);
  CHECK(f.core().resigned());
  f.take();
  REQUIRE(f.acked.size() == 1);
  CHECK(f.acked[0].error == ErrorCode::kTimedOut);
  REQUIRE(f.answers.size() == 1);
  CHECK(f.answers[0].answer.refusal == FetchRefusal::kWrongEpoch);
  CHECK(f.core().may_append(Acks::quorum, f.now).error().code == ErrorCode::kNotMain);
  f.fetch(3, 11, 5, 11);
  f.core().durable(11, f.now);
  CHECK(f.copy.committed == 10);
  CHECK_FALSE(f.core().serving());
}

TEST_CASE("a refused append that a replica was sent ends the appends of the epoch") {
  Fixture f;
  f.all_follow();
  f.append(11, Acks::quorum, 1);
  f.core().append_refused(10, f.now);
  CHECK(f.acknowledged(1, ErrorCode::kDiskFull));
  CHECK(f.core().may_append(Acks::quorum, f.now));
  f.fetch(2, 10, 4, 10);
  f.append(11, Acks::quorum, 2);
  f.fetch(2, 10, 4, 10);
  f.take();
  f.core().append_refused(10, f.now);
  CHECK(f.acknowledged(2, ErrorCode::kTimedOut));
  CHECK(f.asks == 1);
  CHECK(f.copy.end == 10);
  CHECK(f.core().may_append(Acks::quorum, f.now).error().code == ErrorCode::kNotMain);
  f.fetch(2, 11, 5, 11);
  CHECK(f.answer().kind == Kind::kDiverged);
  f.now += 500;
  f.core().tick(f.now);
  f.take();
  CHECK(f.asks == 1);  // again, until there is another epoch
}

}  // namespace
}  // namespace andyx::server::main_core_test
