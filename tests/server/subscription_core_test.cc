#include <doctest/doctest.h>

#include "tests/server/subscription_core_fixture.h"

namespace andyx::server {
namespace {

// ---- Streams ----

TEST_CASE("a newer attach ends the older stream, whose messages are delivered again") {
  CoreFixture f(Mode::nonresilient, 20);
  f.attach(kAlice, 1);
  f.deliver_all();
  const auto taken_over = f.core.attach(kBob, options(2, 1'000'000, 1'000), {});
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
  CoreFixture f(Mode::nonresilient);
  f.attach(kAlice, 5);
  f.core.detach(kAlice, {});
  const auto stale = f.core.attach(kBob, options(4, 1, 1), {});
  REQUIRE_FALSE(stale.has_value());
  CHECK(stale.error().code == ErrorCode::kStaleAttach);
  CHECK(f.core.attach(kBob, options(5, 1, 1), {}).has_value());
}

TEST_CASE("a stream that attaches again starts anew") {
  CoreFixture f(Mode::nonresilient, 10);
  f.attach();
  f.deliver_all();
  f.attach(kAlice, 1, 3);
  CHECK(f.core.streams() == 1);
  CHECK(f.core.stats().in_flight == 0);
  CHECK(f.core.stats().credit_messages == 3);
  CHECK(f.deliver_ranges() == Ranges{{0, 2}});
}

TEST_CASE("streams of one epoch share the flow, and cannot answer for each other") {
  CoreFixture f(Mode::nonresilient, 20);
  f.attach(kAlice, 1);
  f.attach(kBob, 1);
  const auto all = f.deliver_all();
  CHECK(f.core.stats().in_flight == 20);
  const StreamId first = all.at(0).stream, second = first == kAlice ? kBob : kAlice;
  CHECK(ranges_of(all, first) == Ranges{{0, 4}, {10, 14}});
  CHECK(ranges_of(all, second) == Ranges{{5, 9}, {15, 19}});
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}, first) == ErrorCode::kOk);
  CHECK(f.answer(Kind::acknowledge, {{0, 1}}, second) == ErrorCode::kNotYours);
  CHECK(f.answer(Kind::unacknowledge, {{1, 1}}, second) == ErrorCode::kNotYours);
  CHECK(f.answer(Kind::extend, {{1, 1}}, second) == ErrorCode::kNotYours);
  CHECK(f.answer(Kind::acknowledge, {{5, 9}, {15, 19}}, second) == ErrorCode::kOk);
  f.core.detach(first, f.now);
  CHECK(f.core.stats().waiting_redelivery == 9);
  CHECK(f.core.stats().in_flight == 0);
  CHECK(f.deliver_ranges() == Ranges{{1, 4}});
}

// ---- Answers ----

TEST_CASE("acknowledging moves the floor, and repeating it changes nothing") {
  CoreFixture f(Mode::nonresilient);
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
  CoreFixture f(Mode::nonresilient);
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
  CoreFixture f(Mode::nonresilient, 10);
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
  CoreFixture f(Mode::nonresilient, 10);
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
  CoreFixture f(Mode::nonresilient, 30);
  f.attach(kAlice, 1, 5);
  f.deliver_all();
  CHECK(f.answer(Kind::acknowledge, {{0, 29}}) == ErrorCode::kOk);
  CHECK(f.core.floor() == 30);
  REQUIRE(f.core.credit(kAlice, 0, 100).has_value());
  CHECK_FALSE(f.core.next_want().has_value());
  f.core.committed(40);
  CHECK(f.deliver_ranges() == Ranges{{30, 39}});
}

}  // namespace
}  // namespace andyx::server
