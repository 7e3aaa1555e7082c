#include "server/subscription/subscription_core.h"

#include <doctest/doctest.h>

#include <string>

#include "subscription_generated.h"

namespace andyx::server {
namespace {

using Kind = protocol::AnswerKind;
using Mode = protocol::SubscriptionMode;
using Ranges = std::vector<OffsetRange>;

constexpr StreamId kAlice = 1, kBob = 2;
constexpr std::uint32_t kBatch = 10;  // messages in a batch, which begin at multiples of it
constexpr std::uint32_t kBatchBytes = 1'000;

// A core over a log of `committed` messages, with what a shell does for it.
struct Fixture {
  SubscriptionCore core;
  TimeUs now_us = 1'000;

  explicit Fixture(Mode mode, Offset committed = 100, Offset start = 0) : core(5, mode) {
    core.create(start);
    core.open(0, committed);
    (void)core.take_change();
  }

  void attach(StreamId stream = kAlice, std::uint64_t epoch = 1, std::uint64_t messages = 1'000,
              std::uint64_t bytes = 1'000'000) {
    REQUIRE(core.attach(stream, epoch, bytes, messages).has_value());
  }

  SubscriptionCore::Batch batch_of(Offset offset) const {
    return {offset - offset % kBatch, kBatch, kBatchBytes};
  }

  // What the next want brings; nothing when there is none.
  std::vector<SubscriptionCore::DeliveredRange> deliver(bool* redelivery = nullptr) {
    std::vector<SubscriptionCore::DeliveredRange> out;
    const auto want = core.next_want();
    if (!want) return out;
    if (redelivery != nullptr) *redelivery = want->redelivery;
    core.take(*want, batch_of(want->from), now_us, out);
    return out;
  }
  Ranges deliver_ranges() {
    Ranges ranges;
    for (const auto& r : deliver()) ranges.push_back({r.first, r.last});
    return ranges;
  }
  void deliver_all() {
    while (!deliver().empty()) {
    }
  }
  ErrorCode answer(Kind kind, Ranges ranges, StreamId stream = kAlice) {
    const auto answered = core.answer(stream, kind, ranges);
    return answered ? ErrorCode::kOk : answered.error().code;
  }
};

// ---- Delivery ----

TEST_CASE(
    "without a consumer, a message or credit nothing is wanted, and blocked says which it is") {
  Fixture f(Mode::nonresilient, 10);
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.blocked() == "no consumer is attached");
  f.attach(kAlice, 1, 0, 0);
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.blocked() == "the consumer has given no credit");
  REQUIRE(f.core.credit(kAlice, 10'000, 10).has_value());
  CHECK(f.core.blocked().empty());
  CHECK(f.deliver_ranges() == Ranges{{0, 9}});
  CHECK(f.core.blocked() == "nothing to deliver");
  f.core.committed(12);
  CHECK(f.core.blocked() == "the consumer has given no credit");
}

TEST_CASE("only what is committed is delivered, also out of the middle of a batch") {
  Fixture f(Mode::nonresilient, 4);
  f.attach();
  CHECK(f.deliver_ranges() == Ranges{{0, 3}});
  CHECK(f.deliver_ranges().empty());
  f.core.committed(15);
  CHECK(f.deliver_ranges() == Ranges{{4, 9}});
  CHECK(f.deliver_ranges() == Ranges{{10, 14}});
}

TEST_CASE("a subscription begins at its start") {
  Fixture f(Mode::nonresilient, 30, 17);
  f.attach();
  CHECK(f.deliver_ranges() == Ranges{{17, 19}});
}

TEST_CASE("answered messages are left out") {
  Fixture f(Mode::nonresilient, 20);
  f.attach();
  CHECK(f.answer(Kind::acknowledge, {{0, 1}, {4, 5}, {9, 12}}) == ErrorCode::kOk);
  CHECK(f.deliver_ranges() == Ranges{{2, 3}, {6, 8}});
  CHECK(f.deliver_ranges() == Ranges{{13, 19}});
}

TEST_CASE("message credit bounds what is in flight") {
  Fixture f(Mode::nonresilient);
  f.attach(kAlice, 1, 13);
  f.deliver_all();
  CHECK(f.core.stats().in_flight == 13);
  REQUIRE(f.core.credit(kAlice, 0, 2).has_value());
  CHECK(f.deliver_ranges() == Ranges{{13, 14}});
}

TEST_CASE("byte credit buys shares of a batch, and one message at least") {
  Fixture f(Mode::nonresilient);
  f.attach(kAlice, 1, 1'000, 350);  // 100 bytes each
  CHECK(f.deliver_ranges() == Ranges{{0, 2}});
  CHECK(f.core.stats().credit_bytes == 50);
  CHECK(f.deliver_ranges() == Ranges{{3, 3}});  // 50 below zero now
  CHECK(f.core.stats().credit_bytes == 0);
  CHECK(f.deliver_ranges().empty());
  REQUIRE(f.core.credit(kAlice, 50, 0).has_value());
  CHECK(f.deliver_ranges().empty());
  REQUIRE(f.core.credit(kAlice, 100, 0).has_value());
  CHECK(f.deliver_ranges() == Ranges{{4, 4}});
}

TEST_CASE("a share of a batch is rounded up, and the whole batch costs its size") {
  CHECK(credit_charge(1'000, 3, 1) == 334);
  CHECK(credit_charge(1'000, 3, 3) == 1'000);
  CHECK(credit_charge(1'000, 3, 0) == 0);
}

TEST_CASE("credit over the bound is refused and changes nothing") {
  Fixture f(Mode::nonresilient);
  const auto code = [](const auto& result) {
    return result ? ErrorCode::kOk : result.error().code;
  };
  CHECK(code(f.core.attach(kAlice, 1, limits::kMaxCreditBytes + 1, 1)) ==
        ErrorCode::kCreditOverflow);
  CHECK(code(f.core.attach(kAlice, 1, 1, limits::kMaxCreditMessages + 1)) ==
        ErrorCode::kCreditOverflow);
  CHECK(f.core.streams() == 0);
  f.attach(kAlice, 1, limits::kMaxCreditMessages, limits::kMaxCreditBytes);
  CHECK(code(f.core.credit(kAlice, 1, 0)) == ErrorCode::kCreditOverflow);
  CHECK(code(f.core.credit(kAlice, 0, 1)) == ErrorCode::kCreditOverflow);
  CHECK(code(f.core.credit(kAlice, ~std::uint64_t{0}, ~std::uint64_t{0})) ==
        ErrorCode::kCreditOverflow);
  CHECK(f.core.stats().credit_messages == limits::kMaxCreditMessages);
  CHECK(code(f.core.credit(kBob, 1, 1)) == ErrorCode::kUnknownStream);
}

TEST_CASE("while a batch is fetched its lane waits, and a failed fetch is wanted again") {
  Fixture f(Mode::nonresilient);
  f.attach();
  const auto want = f.core.next_want();
  REQUIRE(want.has_value());
  CHECK_FALSE(f.core.next_want().has_value());
  f.core.fetch_failed(*want);
  const auto again = f.core.next_want();
  REQUIRE(again.has_value());
  CHECK(again->from == want->from);
  std::vector<SubscriptionCore::DeliveredRange> out;
  CHECK(f.core.take(*want, f.batch_of(0), 1, out).messages == 0);  // of before
  f.core.fetch_failed(*want);
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.take(*again, f.batch_of(0), 1, out).messages == 10);
  CHECK(f.core.take(*again, f.batch_of(0), 1, out).messages == 0);  // twice
}

TEST_CASE("a slow fetch of redeliveries does not hold up fresh messages") {
  Fixture f(Mode::nonresilient);
  f.attach();
  (void)f.deliver();
  REQUIRE(f.answer(Kind::unacknowledge, {{0, 9}}) == ErrorCode::kOk);
  std::optional<SubscriptionCore::Want> slow;
  Ranges fresh;
  for (int i = 0; i < 5; ++i) {
    const auto want = f.core.next_want();
    REQUIRE(want.has_value());
    if (want->redelivery) {
      REQUIRE_FALSE(slow.has_value());
      slow = want;
      continue;
    }
    std::vector<SubscriptionCore::DeliveredRange> out;
    f.core.take(*want, f.batch_of(want->from), 1, out);
    fresh.push_back({out.at(0).first, out.at(0).last});
  }
  REQUIRE(slow.has_value());
  CHECK(fresh == Ranges{{10, 19}, {20, 29}, {30, 39}, {40, 49}});
  std::vector<SubscriptionCore::DeliveredRange> out;
  CHECK(f.core.take(*slow, f.batch_of(0), 1, out).redeliveries == 10);
}

TEST_CASE("a want of a stream that went, or from before a reset, brings nothing") {
  Fixture f(Mode::nonresilient);
  std::vector<SubscriptionCore::DeliveredRange> out;
  f.attach();
  auto want = f.core.next_want();
  f.core.detach(kAlice);
  CHECK(f.core.take(*want, f.batch_of(want->from), 1, out).messages == 0);
  f.attach();
  want = f.core.next_want();
  REQUIRE(want.has_value());
  REQUIRE(f.core.reset(50).has_value());
  CHECK(f.core.take(*want, f.batch_of(want->from), 1, out).messages == 0);
  f.attach();
  CHECK(f.deliver_ranges() == Ranges{{50, 59}});
}

TEST_CASE("messages answered while their batch is fetched are not delivered") {
  Fixture f(Mode::nonresilient);
  f.attach();
  const auto want = f.core.next_want();
  REQUIRE(f.answer(Kind::acknowledge, {{0, 7}}) == ErrorCode::kOk);
  std::vector<SubscriptionCore::DeliveredRange> out;
  CHECK(f.core.take(*want, f.batch_of(0), 1, out).messages == 2);
  CHECK(out.at(0).first == 8);
}

// ---- Streams ----

TEST_CASE("a newer attach ends the older stream, whose messages are delivered again") {
  Fixture f(Mode::nonresilient, 20);
  f.attach(kAlice, 1);
  f.deliver_all();
  const auto taken_over = f.core.attach(kBob, 2, 1'000'000, 1'000);
  REQUIRE(taken_over.has_value());
  CHECK(taken_over->ended == std::vector<StreamId>{kAlice});
  CHECK(taken_over->committed == 20);
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}, kAlice) == ErrorCode::kUnknownStream);
  const auto again = f.deliver();
  REQUIRE(again.size() == 1);
  CHECK(again[0].first == 0);
  CHECK(again[0].delivered_before == 1);
  CHECK(again[0].first_delivered_us == 1'000);
}

TEST_CASE("an older attach is stale, also after the newer consumer has gone") {
  Fixture f(Mode::nonresilient);
  f.attach(kAlice, 5);
  f.core.detach(kAlice);
  const auto stale = f.core.attach(kBob, 4, 1, 1);
  REQUIRE_FALSE(stale.has_value());
  CHECK(stale.error().code == ErrorCode::kStaleAttach);
  CHECK(f.core.attach(kBob, 5, 1, 1).has_value());
}

TEST_CASE("a stream that attaches again starts anew") {
  Fixture f(Mode::nonresilient, 10);
  f.attach();
  f.deliver_all();
  f.attach(kAlice, 1, 3);
  CHECK(f.core.streams() == 1);
  CHECK(f.core.stats().in_flight == 0);
  CHECK(f.core.stats().credit_messages == 3);
  CHECK(f.deliver_ranges() == Ranges{{0, 2}});
}

TEST_CASE("streams of one epoch share the flow, and cannot answer for each other") {
  Fixture f(Mode::nonresilient, 20);
  f.attach(kAlice, 1);
  f.attach(kBob, 1);
  f.deliver_all();
  CHECK(f.core.stats().in_flight == 20);
  StreamId first = kAlice;
  if (f.answer(Kind::acknowledge, {{0, 0}}, kAlice) != ErrorCode::kOk) first = kBob;
  const StreamId second = first == kAlice ? kBob : kAlice;
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}, first) == ErrorCode::kOk);
  CHECK(f.answer(Kind::acknowledge, {{0, 1}}, second) == ErrorCode::kNotYours);
  CHECK(f.answer(Kind::unacknowledge, {{1, 1}}, second) == ErrorCode::kNotYours);
  CHECK(f.answer(Kind::acknowledge, {{10, 19}}, second) == ErrorCode::kOk);
  f.core.detach(first);
  CHECK(f.core.stats().waiting_redelivery == 9);
  CHECK(f.core.stats().in_flight == 0);
  CHECK(f.deliver_ranges() == Ranges{{1, 9}});
}

// ---- Answers ----

TEST_CASE("acknowledging moves the floor, and repeating it changes nothing") {
  Fixture f(Mode::nonresilient);
  f.attach();
  f.deliver_all();
  CHECK(f.answer(Kind::acknowledge, {{0, 4}}) == ErrorCode::kOk);
  CHECK(f.core.floor() == 5);
  (void)f.core.take_change();
  CHECK(f.answer(Kind::acknowledge, {{0, 4}, {2, 2}}) == ErrorCode::kOk);
  CHECK_FALSE(f.core.take_change().has_value());
  CHECK(f.core.stats().lag == 95);
}

TEST_CASE("skipped messages move the floor and are counted once") {
  Fixture f(Mode::nonresilient);
  f.attach();
  f.deliver_all();
  CHECK(f.answer(Kind::skip, {{0, 4}, {10, 11}}) == ErrorCode::kOk);
  CHECK(f.answer(Kind::skip, {{0, 11}}) == ErrorCode::kOk);
  CHECK(f.core.floor() == 12);
  CHECK(f.core.stats().skipped == 12);
  CHECK(f.answer(Kind::acknowledge, {{12, 13}}) == ErrorCode::kOk);
  CHECK(f.answer(Kind::skip, {{12, 13}}) == ErrorCode::kOk);
  CHECK(f.core.stats().skipped == 12);
}

TEST_CASE("the first answer wins: unacknowledging what is acknowledged changes nothing") {
  Fixture f(Mode::nonresilient, 10);
  f.attach();
  f.deliver_all();
  CHECK(f.answer(Kind::acknowledge, {{3, 5}}) == ErrorCode::kOk);
  CHECK(f.answer(Kind::unacknowledge, {{3, 5}}) == ErrorCode::kOk);
  CHECK(f.core.stats().waiting_redelivery == 0);
  CHECK(f.core.stats().answered_above_floor == 3);
  CHECK(f.answer(Kind::unacknowledge, {{2, 6}}) == ErrorCode::kOk);
  CHECK(f.deliver_ranges() == Ranges{{2, 2}, {6, 6}});
}

TEST_CASE("an answer with one bad range changes nothing") {
  Fixture f(Mode::nonresilient, 10);
  f.attach();
  f.deliver_all();
  CHECK(f.answer(Kind::acknowledge, {{0, 3}, {5, 4}}) == ErrorCode::kBadArgument);
  CHECK(f.answer(Kind::acknowledge, {{0, 3}, {9, 10}}) == ErrorCode::kOffsetOutOfRange);
  CHECK(f.answer(Kind::acknowledge, Ranges(limits::kMaxRangesPerAnswer + 1)) ==
        ErrorCode::kBadArgument);
  CHECK(f.answer(Kind::acknowledge, {{0, 3}}, kBob) == ErrorCode::kUnknownStream);
  CHECK(f.core.floor() == 0);
  CHECK_FALSE(f.core.has_change());
}

TEST_CASE("a message that was never delivered may be answered, and is then never delivered") {
  Fixture f(Mode::nonresilient, 30);
  f.attach(kAlice, 1, 5);
  f.deliver_all();
  CHECK(f.answer(Kind::acknowledge, {{0, 29}}) == ErrorCode::kOk);
  CHECK(f.core.floor() == 30);
  REQUIRE(f.core.credit(kAlice, 0, 100).has_value());
  CHECK_FALSE(f.core.next_want().has_value());
  f.core.committed(40);
  CHECK(f.deliver_ranges() == Ranges{{30, 39}});
}

// ---- Resilient ----

TEST_CASE("resilient: one message at a time, the next after acknowledge or skip") {
  Fixture f(Mode::resilient);
  f.attach();
  CHECK(f.deliver_ranges() == Ranges{{0, 0}});
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.blocked() == "waiting for the answer to the message in flight");
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}) == ErrorCode::kOk);
  CHECK(f.deliver_ranges() == Ranges{{1, 1}});
  CHECK(f.answer(Kind::skip, {{1, 1}}) == ErrorCode::kOk);
  CHECK(f.deliver_ranges() == Ranges{{2, 2}});
}

TEST_CASE("resilient: unacknowledge sends the same message again, with its history") {
  Fixture f(Mode::resilient);
  f.attach();
  (void)f.deliver();
  for (std::uint32_t times = 1; times <= 3; ++times) {
    f.now_us += 10;
    CHECK(f.answer(Kind::unacknowledge, {{0, 0}}) == ErrorCode::kOk);
    const auto again = f.deliver();
    REQUIRE(again.size() == 1);
    CHECK(again[0].first == 0);
    CHECK(again[0].last == 0);
    CHECK(again[0].delivered_before == times);
    CHECK(again[0].first_delivered_us == 1'000);
  }
}

TEST_CASE("resilient: also with two streams one message is outstanding, and a fetch counts") {
  Fixture f(Mode::resilient);
  f.attach(kAlice, 1);
  f.attach(kBob, 1);
  const auto want = f.core.next_want();
  REQUIRE(want.has_value());
  CHECK_FALSE(f.core.next_want().has_value());
  std::vector<SubscriptionCore::DeliveredRange> out;
  f.core.take(*want, f.batch_of(0), 1, out);
  CHECK(out.size() == 1);
  CHECK_FALSE(f.core.next_want().has_value());
}

TEST_CASE("resilient: a consumer that went leaves its message to the next, in order") {
  Fixture f(Mode::resilient);
  f.attach(kAlice, 1);
  (void)f.deliver();
  f.attach(kBob, 2);
  CHECK(f.deliver_ranges() == Ranges{{0, 0}});
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}, kBob) == ErrorCode::kOk);
  CHECK(f.deliver_ranges() == Ranges{{1, 1}});
}

// ---- Redelivery ----

TEST_CASE("unacknowledged messages get at least a tenth of the deliveries of a busy topic") {
  Fixture f(Mode::nonresilient, 100'000);
  f.attach(kAlice, 1, 100);
  f.deliver_all();
  REQUIRE(f.answer(Kind::unacknowledge, {{0, 99}}) == ErrorCode::kOk);
  // Each round gives credit for a few; redeliveries fail again and again.
  std::uint64_t fresh = 0, redelivered = 0;
  for (int round = 0; round < 2'000; ++round) {
    REQUIRE(f.core.credit(kAlice, 10'000, 1 + round % 10).has_value());
    while (f.core.stats().credit_messages > 0) {
      bool redelivery = false;
      const auto ranges = f.deliver(&redelivery);
      REQUIRE_FALSE(ranges.empty());
      for (const auto& r : ranges) {
        (redelivery ? redelivered : fresh) += r.last - r.first + 1;
        REQUIRE(f.answer(redelivery ? Kind::unacknowledge : Kind::acknowledge,
                         {{r.first, r.last}}) == ErrorCode::kOk);
      }
    }
  }
  CHECK(redelivered * 10 >= fresh + redelivered);
  CHECK(redelivered * 3 <= fresh + redelivered);  // and cannot take over the flow
}

TEST_CASE("redelivery goes round: a message that fails for ever starves no other") {
  Fixture f(Mode::nonresilient, 100);
  f.attach(kAlice, 1, 100);
  f.deliver_all();
  REQUIRE(f.answer(Kind::unacknowledge, {{0, 99}}) == ErrorCode::kOk);
  REQUIRE(f.core.credit(kAlice, 0, 100).has_value());
  std::vector<int> times(100, 0);
  for (int i = 0; i < 10; ++i)
    for (const auto& r : f.deliver()) {
      for (Offset o = r.first; o <= r.last; ++o) ++times[o];
      REQUIRE(f.answer(Kind::unacknowledge, {{r.first, r.last}}) == ErrorCode::kOk);
    }
  CHECK(times == std::vector<int>(100, 1));
}

TEST_CASE("redelivered messages are named one by one, so a take has a bound of them") {
  constexpr std::uint32_t kHuge = 50'000;
  SubscriptionCore core(5, Mode::nonresilient);
  core.create(0);
  core.open(0, kHuge);
  const auto deliver = [&] {
    std::vector<SubscriptionCore::DeliveredRange> out;
    const auto want = core.next_want();
    REQUIRE(want.has_value());
    return core.take(*want, {0, kHuge, 1'000'000}, 1, out);
  };
  REQUIRE(core.attach(kAlice, 1, limits::kMaxCreditBytes, kHuge).has_value());
  CHECK(deliver().messages == kHuge);
  REQUIRE(core.attach(kAlice, 1, limits::kMaxCreditBytes, kHuge).has_value());
  for (int i = 0; i < 5; ++i) {
    const auto taken = deliver();
    CHECK(taken.messages == SubscriptionCore::kMaxRedeliveriesPerTake);
    CHECK(taken.redeliveries == SubscriptionCore::kMaxRedeliveriesPerTake);
  }
  CHECK_FALSE(core.next_want().has_value());
}

// ---- The log ----

TEST_CASE("retention moves the floor and forgets what was in flight below it") {
  Fixture f(Mode::nonresilient);
  f.attach(kAlice, 1, 30);
  f.deliver_all();
  REQUIRE(f.answer(Kind::unacknowledge, {{5, 15}}) == ErrorCode::kOk);
  f.core.log_start_advanced(10);
  CHECK(f.core.floor() == 10);
  CHECK(f.core.stats().in_flight == 14);
  CHECK(f.core.stats().waiting_redelivery == 6);
  CHECK(f.core.take_change()->floor == 10);
  CHECK(f.answer(Kind::acknowledge, {{3, 9}}) == ErrorCode::kOk);  // late: answered already
  f.core.log_start_advanced(50);                                   // past what was delivered
  CHECK(f.core.stats().in_flight == 0);
  REQUIRE(f.core.credit(kAlice, 0, 10).has_value());
  CHECK(f.deliver_ranges() == Ranges{{50, 59}});
}

TEST_CASE("a reset ends the streams, so that late answers cannot hide messages") {
  Fixture f(Mode::nonresilient);
  f.attach();
  f.deliver_all();
  REQUIRE(f.answer(Kind::acknowledge, {{0, 49}, {60, 69}}) == ErrorCode::kOk);
  const auto ended = f.core.reset(20);
  REQUIRE(ended.has_value());
  CHECK(*ended == std::vector<StreamId>{kAlice});
  CHECK(f.answer(Kind::acknowledge, {{50, 59}}) == ErrorCode::kUnknownStream);
  CHECK(f.core.stats().lag == 80);
  f.attach(kAlice, 1, 100, 100'000);
  const auto again = f.deliver();
  CHECK(again.at(0).first == 20);
  CHECK(again.at(0).delivered_before == 0);
  CHECK(f.core.reset(101).error().code == ErrorCode::kOffsetOutOfRange);
  f.core.log_start_advanced(30);
  CHECK(f.core.reset(29).error().code == ErrorCode::kOffsetOutOfRange);
  CHECK(f.core.reset(100).has_value());
}

TEST_CASE("a cursor beyond the end of the log is cut to it") {
  Fixture f(Mode::nonresilient, 100);
  f.attach();
  f.deliver_all();
  REQUIRE(f.answer(Kind::unacknowledge, {{0, 99}}) == ErrorCode::kOk);
  REQUIRE(f.answer(Kind::acknowledge, {{0, 49}, {60, 79}}) == ErrorCode::kOk);
  const CursorChange whole = f.core.state();
  for (const Offset end : {90, 70, 55, 20}) {
    SubscriptionCore cut(5, Mode::nonresilient);
    cut.apply(whole);
    cut.open(0, end);
    CHECK(cut.floor() == std::min<Offset>(50, end));
    const auto change = cut.take_change();
    REQUIRE(change.has_value());
    CHECK(change->kind == CursorChange::Kind::kState);
    for (const auto& r : change->answered) CHECK(r.last < end);
    for (const auto& r : change->redeliveries) CHECK(r.last < end);
  }
}

// ---- Durable changes ----

TEST_CASE("a new subscription hands out its start before anything else") {
  SubscriptionCore core(5, Mode::nonresilient);
  core.create(42);
  core.open(0, 100);
  const auto change = core.take_change();
  REQUIRE(change.has_value());
  CHECK(change->kind == CursorChange::Kind::kState);
  CHECK(change->subscription == 5);
  CHECK(change->floor == 42);
  CHECK_FALSE(core.take_change().has_value());
}

TEST_CASE("answers in order are one floor, however many they were") {
  Fixture f(Mode::nonresilient);
  f.attach();
  f.deliver_all();
  for (Offset o = 0; o < 50; ++o) REQUIRE(f.answer(Kind::acknowledge, {{o, o}}) == ErrorCode::kOk);
  CHECK(f.core.take_change() ==
        CursorChange{.subscription = 5, .floor = 50, .answered = {}, .redeliveries = {}});
}

TEST_CASE("answers above the floor are coalesced, and gone once the floor has passed them") {
  Fixture f(Mode::nonresilient);
  f.attach();
  f.deliver_all();
  for (Offset o = 60; o < 70; ++o) REQUIRE(f.answer(Kind::acknowledge, {{o, o}}) == ErrorCode::kOk);
  REQUIRE(f.answer(Kind::acknowledge, {{5, 9}}) == ErrorCode::kOk);
  REQUIRE(f.answer(Kind::acknowledge, {{0, 4}}) == ErrorCode::kOk);
  const auto change = f.core.take_change();
  REQUIRE(change.has_value());
  CHECK(change->floor == 10);
  CHECK(change->answered == Ranges{{60, 69}});
}

TEST_CASE("a change that was lost comes back as the whole state") {
  Fixture f(Mode::nonresilient);
  f.attach();
  f.deliver_all();
  REQUIRE(f.answer(Kind::acknowledge, {{0, 4}, {10, 19}}) == ErrorCode::kOk);
  (void)f.core.take_change();
  f.core.change_lost();
  const auto change = f.core.take_change();
  REQUIRE(change.has_value());
  CHECK(*change == f.core.state());
  CHECK(change->answered == Ranges{{10, 19}});
}

TEST_CASE("after a restart what was not answered is delivered again, with its history") {
  Fixture f(Mode::nonresilient, 30);
  f.attach();
  f.deliver_all();
  REQUIRE(f.answer(Kind::acknowledge, {{0, 4}, {10, 19}}) == ErrorCode::kOk);
  REQUIRE(f.answer(Kind::unacknowledge, {{7, 7}}) == ErrorCode::kOk);
  Fixture restarted(Mode::nonresilient, 30);
  restarted.core.apply(*f.core.take_change());
  restarted.core.open(0, 30);
  restarted.attach();
  const auto ranges = restarted.deliver();
  REQUIRE(ranges.size() == 3);
  CHECK(ranges[0].first == 5);
  CHECK(ranges[0].delivered_before == 0);
  CHECK(ranges[1].first == 7);
  CHECK(ranges[1].delivered_before == 1);
  CHECK(ranges[1].first_delivered_us == 1'000);
  CHECK(ranges[2].last == 9);
  CHECK(restarted.deliver_ranges() == Ranges{{20, 29}});
}

// ---- Bounds ----

struct Wide {
  static constexpr Offset kMessages = 1'000'000;
  static constexpr std::uint32_t kWideBatch = 1'000;
  SubscriptionCore core{5, Mode::nonresilient};

  Wide() {
    core.create(0);
    core.open(0, kMessages);
    REQUIRE(
        core.attach(kAlice, 1, limits::kMaxCreditBytes, limits::kMaxCreditMessages).has_value());
  }
  void deliver_all() {
    std::vector<SubscriptionCore::DeliveredRange> out;
    while (auto want = core.next_want()) {
      out.clear();
      const Offset base = want->from - want->from % kWideBatch;
      REQUIRE(core.take(*want, {base, kWideBatch, 100}, 1, out).messages > 0);
    }
  }
  void answer(Offset first, Offset last, Offset step, Kind kind = Kind::acknowledge) {
    for (Offset o = first; o <= last; o += step) {
      const OffsetRange range{o, o};
      REQUIRE(core.answer(kAlice, kind, {&range, 1}).has_value());
    }
  }
};

TEST_CASE("the worst order of answers stays within the bound, pauses delivery and loses nothing") {
  Wide w;
  w.deliver_all();
  const std::uint64_t window = w.core.stats().in_flight;
  CHECK(window == 2 * limits::kMaxAnsweredRanges);
  CHECK(w.core.blocked() == "too many unanswered messages: the set of answers above them is full");
  w.answer(1, window - 1, 2);
  w.deliver_all();
  CHECK(w.core.state().answered.size() <= limits::kMaxAnsweredRanges);
  CHECK(w.core.stats().answered_above_floor == limits::kMaxAnsweredRanges);
  const auto record = encode_cursor_record({std::vector{w.core.state()}});
  CHECK(record.size() <= limits::kMaxMessageBytes);
  // What fills the gaps lets it go on.
  w.answer(0, window - 2, 2);
  CHECK(w.core.floor() == window);
  w.deliver_all();
  CHECK(w.core.stats().in_flight == window);
}

TEST_CASE("a full set that was rebuilt is worked off from its floor") {
  Wide full;
  full.deliver_all();
  full.answer(1, full.core.stats().in_flight - 1, 2);
  Wide w;
  w.core.detach(kAlice);
  w.core.apply(full.core.state());
  w.core.open(0, Wide::kMessages);
  REQUIRE(
      w.core.attach(kAlice, 1, limits::kMaxCreditBytes, limits::kMaxCreditMessages).has_value());
  Offset floor = w.core.floor();
  for (int i = 0; i < 100; ++i) {
    w.deliver_all();
    REQUIRE(w.core.stats().in_flight > 0);
    w.answer(floor, floor, 1);
    REQUIRE(w.core.floor() > floor);
    floor = w.core.floor();
  }
}

TEST_CASE("answers far ahead of delivery cannot fill the set") {
  Wide w;
  Offset o = 1;
  Status answered;
  for (; answered.has_value(); o += 2) {
    REQUIRE(o < Wide::kMessages);
    const OffsetRange range{o, o};
    answered = w.core.answer(kAlice, Kind::acknowledge, {&range, 1});
  }
  CHECK(answered.error().code == ErrorCode::kLimitReached);
  CHECK(w.core.state().answered.size() <= limits::kMaxAnsweredRanges / 2);
  w.deliver_all();  // and delivery goes on
  CHECK(w.core.stats().in_flight > 0);
}

TEST_CASE("many changes that nobody takes become the whole state") {
  Wide w;
  w.deliver_all();
  (void)w.core.take_change();
  w.answer(1, 199'999, 2);
  const auto change = w.core.take_change();
  REQUIRE(change.has_value());
  CHECK(*change == w.core.state());
}

}  // namespace
}  // namespace andyx::server
