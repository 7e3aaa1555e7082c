// Ack timeouts, delays, what the due index brings, and dead letters.
#include <doctest/doctest.h>

#include <cstring>

#include "protocol/batch/batch_format.h"
#include "tests/server/subscription_core_fixture.h"

namespace andyx::server {
namespace {

StreamOptions with_timeout(std::uint64_t timeout_us, std::uint32_t max_deliveries = 0) {
  StreamOptions with = options(1, 1'000'000, 1'000);
  with.ack_timeout_us = timeout_us;
  with.max_deliveries = max_deliveries;
  return with;
}

// ---- Ack timeout ----

TEST_CASE("unanswered messages come back after the ack timeout, to another consumer") {
  CoreFixture f(Mode::nonresilient, 1);
  f.attach(kAlice, with_timeout(1'000));
  f.attach(kBob, with_timeout(1'000));
  CHECK_FALSE(f.core.next_deadline_us().has_value());
  StreamId last = 0;
  for (int i = 0; i < 6; ++i) {
    const auto delivered = f.deliver();
    REQUIRE(delivered.size() == 1);
    CHECK(delivered[0].stream != last);
    last = delivered[0].stream;
    CHECK(f.core.next_deadline_us() == f.now.steady_us + 1'000);
    f.pass_time(999);
    CHECK_FALSE(f.core.next_want().has_value());
    f.pass_time(1);
  }
}

TEST_CASE("extending begins the ack timeout anew, for what the consumer holds") {
  CoreFixture f(Mode::nonresilient, 2);
  f.attach(kAlice, with_timeout(1'000));
  f.deliver_all();
  (void)f.core.take_change();
  f.pass_time(900);
  CHECK(f.answer(Kind::extend, {{1, 1}}) == ErrorCode::kOk);
  CHECK_FALSE(f.core.has_change());
  f.pass_time(900);
  CHECK(f.deliver_ranges() == Ranges{{0, 0}});
  f.pass_time(100);
  CHECK(f.deliver_ranges() == Ranges{{1, 1}});
}

// ---- Delayed redelivery ----

TEST_CASE("a delayed redelivery waits by the steady clock, and over a restart by the wall clock") {
  CoreFixture f(Mode::nonresilient, 10);
  f.attach();
  f.deliver_all();
  CHECK(f.answer(Kind::unacknowledge, {{3, 3}}, kAlice, 5'000) == ErrorCode::kOk);
  CHECK(f.answer(Kind::unacknowledge, {{4, 4}}, kAlice,
                 limits::kMaxRedeliveryDelayMs * 1'000 + 1) == ErrorCode::kBadArgument);
  CHECK(f.deliver_ranges().empty());
  CHECK(f.core.blocked() == "waiting for the delay of an unacknowledged message");
  f.now.wall_us += 1'000'000;  // the clock was set
  f.pass_time(4'999);
  CHECK(f.deliver_ranges().empty());

  SubscriptionCore again(5, Type::shared, Mode::nonresilient, false);
  again.apply(f.core.state());
  again.open(0, 10, {.wall_us = 2'000, .steady_us = 7});
  CHECK(again.next_deadline_us() == 7 + 4'000);
  REQUIRE(again.attach(kAlice, options(1, 1'000'000, 1'000), {}).has_value());
  Delivered out;
  while (const auto want = again.next_want()) again.take(*want, f.batch_of(want->from), {}, out);
  CHECK(ranges_of(out) == Ranges{{0, 2}, {4, 9}});

  f.pass_time(1);
  CHECK(f.deliver_ranges() == Ranges{{3, 3}});
}

TEST_CASE("resilient: a delayed redelivery blocks the partition, visibly") {
  CoreFixture f(Mode::resilient);
  f.attach();
  (void)f.deliver();
  CHECK(f.answer(Kind::unacknowledge, {{0, 0}}, kAlice, 5'000) == ErrorCode::kOk);
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.blocked() == "waiting for the delay of an unacknowledged message");
  f.pass_time(5'000);
  CHECK(f.deliver_ranges() == Ranges{{0, 0}});
}

// ---- Delayed messages ----

struct DelayedFixture : CoreFixture {
  static constexpr std::uint8_t kFlags = batch::kFlagDeliverAt | batch::kFlagNoKeys;
  std::vector<std::uint8_t> bytes;
  std::uint32_t count;

  explicit DelayedFixture(const std::vector<TimeUs>& deliver_at)
      : CoreFixture(Mode::nonresilient, deliver_at.size()),
        bytes(batch::kHeaderBytes + batch::table_bytes_each(kFlags) * deliver_at.size()),
        count(static_cast<std::uint32_t>(deliver_at.size())) {
    bytes[batch::at::kFlags] = kFlags;
    std::memcpy(&bytes[batch::at::kCount], &count, sizeof count);
    std::memcpy(&bytes[batch::kHeaderBytes + batch::entry_bytes(kFlags) * deliver_at.size()],
                deliver_at.data(), 8 * deliver_at.size());
  }
  Ranges take_all() {
    Delivered all;
    while (const auto want = core.next_want())
      core.take(*want, {0, count, 100, bytes, true}, now, all);
    return ranges_of(all);
  }
};

TEST_CASE("messages whose time has not come are passed, do not hold the floor, and come once due") {
  DelayedFixture f({0, 9'000, 0, 500});
  f.attach();
  CHECK(f.take_all() == Ranges{{0, 0}, {2, 2}});  // 500 is due, and for the index to bring
  CHECK(f.answer(Kind::acknowledge, {{0, 3}}) == ErrorCode::kOk);
  CHECK(f.core.floor() == 4);
  CHECK(f.core.stats().delayed == 2);
  CHECK(f.core.stats().lag == 0);
  CHECK(f.core.oldest_unanswered() == 4);
  (void)f.core.take_change();
  const std::vector<DueKey> first{{500, 3}}, second{{9'000, 1}};
  f.core.mature(first, {1'000, kNoOffset});
  CHECK(f.core.mature_room() == 0);
  CHECK(f.core.stats().lag == 1);
  CHECK(f.core.oldest_unanswered() == 3);
  CHECK(f.take_all().empty());  // not durable yet
  CHECK(f.core.take_change()->matured == Ranges{{3, 3}});
  f.core.matured_durable();
  CHECK(f.core.mature_room() == limits::kMaxMatured - 1);
  CHECK(f.take_all() == Ranges{{3, 3}});
  f.core.mature(first, {1'000, kNoOffset});  // once
  CHECK(f.core.stats().lag == 1);
  CHECK(f.answer(Kind::unacknowledge, {{3, 3}}) == ErrorCode::kOk);

  // A restart knows it, though the floor has passed it.
  SubscriptionCore again(5, Type::shared, Mode::nonresilient, false);
  again.apply(f.core.state());
  again.open(0, 4, f.now);
  REQUIRE(again.attach(kAlice, options(1, 1'000'000, 1'000), f.now).has_value());
  Delivered out;
  while (const auto want = again.next_want())
    again.take(*want, {0, 4, 100, f.bytes, true}, f.now, out);
  CHECK(ranges_of(out) == Ranges{{3, 3}});
  CHECK(out.at(0).delivered_before == 1);
  const OffsetRange three{3, 3};
  REQUIRE(again.answer(kAlice, Kind::acknowledge, {&three, 1}, 0, f.now).has_value());
  CHECK(again.stats().lag == 0);
  CHECK(again.stats().delayed == 1);
  again.mature(second, {9'000, kNoOffset});
  again.matured_durable();
  CHECK(again.next_want()->from == 1);
}

TEST_CASE("delayed messages between unanswered ones stay within the bound, and nothing is lost") {
  std::vector<TimeUs> deliver_at(500'000);
  for (std::size_t i = 1; i < deliver_at.size(); i += 2) deliver_at[i] = 9'000;
  DelayedFixture f(deliver_at);
  f.attach(kAlice, options(1, limits::kMaxCreditBytes, limits::kMaxCreditMessages));
  (void)f.take_all();
  CHECK(f.core.stats().in_flight > 50'000);
  CHECK(f.core.blocked() == "too many unanswered messages: the set of answers above them is full");
  CHECK(f.core.state().answered.size() <= limits::kMaxAnsweredRanges);
  CHECK(f.core.mature_room() <= 1);  // what matured would have to be answered, too
  while (f.core.floor() < deliver_at.size()) {
    const Offset before = f.core.floor();
    REQUIRE(f.answer(Kind::acknowledge, {{before, before + 99'999}}) == ErrorCode::kOk);
    REQUIRE(f.core.floor() > before);
    (void)f.take_all();
  }
  CHECK(f.core.stats().lag == 0);
  CHECK(f.core.mature_room() == limits::kMaxMatured);
}

// ---- Dead letters ----

TEST_CASE("what failed too often goes to the dead-letter topic, and then counts as answered") {
  CoreFixture f(Mode::resilient, 3);
  f.attach(kAlice, with_timeout(0, 2));
  for (int i = 0; i < 2; ++i) {
    CHECK(f.deliver_ranges() == Ranges{{0, 0}});
    CHECK(f.answer(Kind::unacknowledge, {{0, 0}}) == ErrorCode::kOk);
  }
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.blocked() == "waiting for the dead-letter topic");
  REQUIRE(f.core.begin_dead_round());
  CHECK_FALSE(f.core.begin_dead_round());
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}) == ErrorCode::kOk);  // changes nothing
  CHECK(f.core.floor() == 0);

  SubscriptionCore again(5, Type::unique, Mode::resilient, false);
  again.apply(f.core.state());
  again.open(0, 3, f.now);
  const auto round = again.dead_round();
  REQUIRE(round.has_value());
  CHECK(round->sequence == 0);
  REQUIRE(round->letters.size() == 1);
  CHECK(round->letters[0].offset == 0);
  CHECK(round->letters[0].deliveries == 2);
  CHECK(round->letters[0].first_delivered_us == 1'000);
  again.dead_round_done(0);
  again.dead_round_done(0);
  CHECK(again.floor() == 1);
  CHECK(again.stats().dead_lettered == 1);
  CHECK_FALSE(again.dead_round().has_value());
}

TEST_CASE("an acknowledgement wins over being set aside, and rounds are bounded") {
  CoreFixture f(Mode::nonresilient, 250);
  f.attach(kAlice, with_timeout(1'000, 1));
  f.deliver_all();
  f.pass_time(1'000);
  CHECK(f.core.stats().dead_waiting == 250);
  CHECK(f.answer(Kind::acknowledge, {{0, 9}}) == ErrorCode::kOk);
  std::uint64_t letters = 0;
  while (f.core.begin_dead_round()) {
    const auto round = f.core.dead_round();
    REQUIRE(round.has_value());
    CHECK(round->sequence == letters);
    CHECK(round->letters.size() <= limits::kMaxDeadLettersPerRound);
    letters += round->letters.size();
    f.core.dead_round_done(round->sequence);
  }
  CHECK(letters == 240);
  CHECK(f.core.floor() == 250);
}

TEST_CASE("after a restart what had failed too often is found before it is delivered again") {
  CoreFixture f(Mode::nonresilient, 10);
  f.attach(kAlice, with_timeout(0, 0));
  f.deliver_all();
  CHECK(f.answer(Kind::unacknowledge, {{4, 5}}) == ErrorCode::kOk);
  CoreFixture again(Mode::nonresilient, 10);
  again.core.apply(f.core.state());
  again.core.open(0, 10, again.now);
  again.attach(kAlice, with_timeout(0, 1));
  CHECK(ranges_of(again.deliver_all()) == Ranges{{0, 3}, {6, 9}});
  CHECK(again.core.stats().dead_waiting == 2);
}

}  // namespace
}  // namespace andyx::server
