#include <doctest/doctest.h>

#include "tests/server/subscription_core_fixture.h"

namespace andyx::server {
namespace {

// ---- The log ----

TEST_CASE("retention moves the floor and forgets what was in flight below it") {
  CoreFixture f(Mode::nonresilient);
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
  CoreFixture f(Mode::nonresilient);
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

TEST_CASE("a reset forgets redeliveries, also in what is rebuilt") {
  CoreFixture f(Mode::nonresilient, 10);
  f.attach();
  f.deliver_all();
  REQUIRE(f.answer(Kind::unacknowledge, {{3, 5}}) == ErrorCode::kOk);
  SubscriptionCore rebuilt(5, Type::unique, Mode::nonresilient, false);
  rebuilt.apply(*f.core.take_change());
  CHECK(rebuilt.state().redeliveries.size() == 1);
  REQUIRE(f.core.reset(2).has_value());
  rebuilt.apply(*f.core.take_change());
  CHECK(rebuilt.state() == f.core.state());
  CHECK(rebuilt.state().redeliveries.empty());
}

TEST_CASE("a cursor beyond the end of the log is cut to it") {
  CoreFixture f(Mode::nonresilient, 100);
  f.attach();
  f.deliver_all();
  REQUIRE(f.answer(Kind::unacknowledge, {{0, 99}}) == ErrorCode::kOk);
  REQUIRE(f.answer(Kind::acknowledge, {{0, 49}, {60, 79}}) == ErrorCode::kOk);
  const CursorChange whole = f.core.state();
  for (const Offset end : {90, 70, 55, 20}) {
    SubscriptionCore cut(5, Type::unique, Mode::nonresilient, false);
    cut.apply(whole);
    cut.open(0, end, {});
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
  SubscriptionCore core(5, Type::unique, Mode::nonresilient, false);
  core.create(42);
  core.open(0, 100, {});
  const auto change = core.take_change();
  REQUIRE(change.has_value());
  CHECK(change->kind == CursorChange::Kind::kState);
  CHECK(change->subscription == 5);
  CHECK(change->floor == 42);
  CHECK_FALSE(core.take_change().has_value());
}

TEST_CASE("answers in order are one floor, however many they were") {
  CoreFixture f(Mode::nonresilient);
  f.attach();
  f.deliver_all();
  for (Offset o = 0; o < 50; ++o) REQUIRE(f.answer(Kind::acknowledge, {{o, o}}) == ErrorCode::kOk);
  CHECK(f.core.take_change() ==
        CursorChange{.subscription = 5, .floor = 50, .answered = {}, .redeliveries = {}});
}

TEST_CASE("answers above the floor are coalesced, and gone once the floor has passed them") {
  CoreFixture f(Mode::nonresilient);
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
  CoreFixture f(Mode::nonresilient);
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
  CoreFixture f(Mode::nonresilient, 30);
  f.attach();
  f.deliver_all();
  REQUIRE(f.answer(Kind::acknowledge, {{0, 4}, {10, 19}}) == ErrorCode::kOk);
  REQUIRE(f.answer(Kind::unacknowledge, {{7, 7}}) == ErrorCode::kOk);
  CoreFixture restarted(Mode::nonresilient, 30);
  restarted.core.apply(*f.core.take_change());
  restarted.core.open(0, 30, {});
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
  static constexpr std::uint32_t kWideBatch = 1'500;  // does not divide the bound
  SubscriptionCore core{5, Type::unique, Mode::nonresilient, false};

  Wide() {
    core.create(0);
    core.open(0, kMessages, {});
    REQUIRE(core.attach(kAlice, options(1, limits::kMaxCreditBytes, limits::kMaxCreditMessages), {})
                .has_value());
  }
  void deliver_all() {
    std::vector<SubscriptionCore::DeliveredRange> out;
    while (auto want = core.next_want()) {
      out.clear();
      const Offset base = want->from - want->from % kWideBatch;
      REQUIRE(core.take(*want, {base, kWideBatch, 100}, {1, 1}, out).messages > 0);
    }
  }
  void answer(Offset first, Offset last, Offset step, Kind kind = Kind::acknowledge) {
    for (Offset o = first; o <= last; o += step) {
      const OffsetRange range{o, o};
      REQUIRE(core.answer(kAlice, kind, {&range, 1}, 0, {}).has_value());
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
  w.core.detach(kAlice, {});
  w.core.apply(full.core.state());
  w.core.open(0, Wide::kMessages, {});
  REQUIRE(w.core.attach(kAlice, options(1, limits::kMaxCreditBytes, limits::kMaxCreditMessages), {})
              .has_value());
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
    answered = w.core.answer(kAlice, Kind::acknowledge, {&range, 1}, 0, {});
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
