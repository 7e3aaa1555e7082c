// Several consumers: division, order by key, and a partition that changes its consumer.
#include <doctest/doctest.h>

#include <cstring>

#include "protocol/batch/batch_format.h"
#include "tests/server/subscription_core_fixture.h"

namespace andyx::server {
namespace {

constexpr StreamId kCarol = 3;

// ---- Division ----

std::uint64_t messages_of(const Delivered& delivered, StreamId stream) {
  std::uint64_t messages = 0;
  for (const auto& r : ranges_of(delivered, stream)) messages += r.last - r.first + 1;
  return messages;
}

TEST_CASE("a batch is divided evenly, in contiguous chunks") {
  CoreFixture f(Mode::nonresilient, 10);
  for (const StreamId stream : {kAlice, kBob, kCarol}) f.attach(stream);
  const auto all = f.deliver();
  CHECK(all.size() == 3);
  for (const StreamId stream : {kAlice, kBob, kCarol}) CHECK(messages_of(all, stream) >= 3);
}

TEST_CASE("4 messages and 2 consumers are 2 and 2, in one batch or in four") {
  for (const std::uint32_t count : {1u, 2u, 4u}) {
    CoreFixture f(Mode::nonresilient, 4);
    f.attach(kAlice);
    f.attach(kBob);
    Delivered all;
    while (const auto want = f.core.next_want())
      f.core.take(*want, {want->from - want->from % count, count, 100}, f.now, all);
    CHECK(messages_of(all, kAlice) == 2);
    CHECK(messages_of(all, kBob) == 2);
  }
}

TEST_CASE("who gets one more than the others changes from batch to batch") {
  CoreFixture f(Mode::nonresilient, 30);
  f.attach(kAlice);
  f.attach(kBob);
  Delivered all;
  while (const auto want = f.core.next_want())
    f.core.take(*want, {want->from - want->from % 3, 3, 100}, f.now, all);
  CHECK(messages_of(all, kAlice) == 15);
}

TEST_CASE("what one consumer has no credit for goes to the others, and pausing is no credit") {
  CoreFixture f(Mode::nonresilient, 20);
  f.attach(kAlice, 1, 2);
  f.attach(kBob);
  f.attach(kCarol);
  f.core.pause(kCarol, true);
  const auto all = f.deliver_all();
  CHECK(messages_of(all, kAlice) == 2);
  CHECK(messages_of(all, kBob) == 18);
  f.core.pause(kBob, true);
  f.core.committed(30);
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.blocked() == "the connection of the consumer is congested");
  f.core.pause(kCarol, false);
  CHECK(messages_of(f.deliver_all(), kCarol) == 10);
}

TEST_CASE("each stream is charged for what it gets of a batch") {
  CoreFixture f(Mode::nonresilient, 10);
  f.attach(kAlice, 1, 100, 10'000);
  f.attach(kBob, 1, 100, 10'000);
  (void)f.deliver();
  CHECK(f.core.stats().credit_bytes == 19'000);
  CHECK(f.core.stats().credit_messages == 190);
}

// ---- A partition changes its consumer ----

TEST_CASE("revoke, drain, grant: the old consumer gets nothing more, and its late answers count") {
  CoreFixture f(Mode::nonresilient, 20, 0, Type::failover);
  f.attach(kAlice, 1, 10);
  f.deliver_all();
  REQUIRE(f.core.credit(kAlice, 0, 100).has_value());
  f.core.revoke(1);
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.blocked() == "the partition changes its consumer");
  CHECK_FALSE(f.core.drained(1));
  CHECK(f.answer(Kind::acknowledge, {{0, 4}}) == ErrorCode::kOk);
  CHECK_FALSE(f.core.drained(1));
  f.core.retire(1, f.now);
  CHECK(f.core.drained(1));
  CHECK(f.core.stats().waiting_redelivery == 5);
  const auto granted = f.core.attach(kBob, options(2, 10'000, 1), f.now);
  REQUIRE(granted.has_value());
  CHECK(granted->ended.empty());
  CHECK(f.answer(Kind::acknowledge, {{5, 6}}) == ErrorCode::kOk);  // late, and counts
  CHECK(f.core.floor() == 7);
  const auto next = f.deliver();
  REQUIRE(next.size() == 1);
  CHECK(next[0].stream == kBob);
  const Offset held = next[0].first;
  CHECK(f.answer(Kind::unacknowledge, {{0, 19}}) == ErrorCode::kOk);  // late, and does nothing
  CHECK(f.answer(Kind::extend, {{0, 19}}) == ErrorCode::kOk);
  CHECK(f.core.stats().in_flight == 1);
  CHECK(f.answer(Kind::acknowledge, {{held, held}}) == ErrorCode::kNotYours);
  CHECK(f.core.attach(kCarol, options(1, 1, 1), f.now).error().code == ErrorCode::kStaleAttach);
}

TEST_CASE(
    "a retired stream ends when it held nothing; others stay for late answers, a few of them") {
  CoreFixture f(Mode::nonresilient, 100, 0, Type::failover);
  f.attach(kAlice, 1, 10);
  f.core.retire(1, f.now);
  CHECK(f.core.attached(kAlice));
  CHECK(f.core.end_retired() == std::vector{kAlice});
  CHECK_FALSE(f.core.attached(kAlice));
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}) == ErrorCode::kUnknownStream);

  constexpr StreamId kFirst = 10, kLast = kFirst + limits::kMaxRetiredStreams;
  for (StreamId stream = kFirst; stream <= kLast; ++stream) {
    CHECK(f.core.end_retired().empty());
    f.attach(stream, stream, 10);
    REQUIRE_FALSE(f.deliver().empty());
    f.core.retire(stream, f.now);
    f.core.retire(stream, f.now);  // and not taken for one without messages then
  }
  CHECK(f.core.end_retired() == std::vector{kFirst});
  CHECK(f.core.streams() == limits::kMaxRetiredStreams);
  for (StreamId stream = kFirst + 1; stream <= kLast; ++stream) {
    const Offset late = stream - kFirst - 1;
    CHECK(f.answer(Kind::acknowledge, {{late, late}}, stream) == ErrorCode::kOk);
    CHECK(f.core.floor() == late + 1);
  }
}

// ---- Order by key ----

struct Keyed {
  SubscriptionCore core{5, Type::shared, Mode::nonresilient, true};
  Now now{.wall_us = 1'000, .steady_us = 50};
  std::vector<std::uint8_t> bytes;
  std::uint32_t count;

  explicit Keyed(const std::vector<std::uint32_t>& keys)
      : bytes(batch::kHeaderBytes + 8 * keys.size()),
        count(static_cast<std::uint32_t>(keys.size())) {
    for (std::size_t i = 0; i < keys.size(); ++i)
      std::memcpy(&bytes[batch::kHeaderBytes + 8 * i + 4], &keys[i], 4);
    core.create(0);
    core.open(0, count, now);
  }
  void attach(StreamId stream, std::uint64_t messages = 100'000) {
    REQUIRE(core.attach(stream, options(1, 10'000'000, messages), now).has_value());
  }
  Delivered deliver_all() {
    Delivered all;
    while (const auto want = core.next_want())
      core.take(*want, {0, count, 10 * count, bytes, false}, now, all);
    return all;
  }
  ErrorCode answer(Kind kind, StreamId stream, Ranges ranges, std::uint64_t delay_us = 0) {
    const auto answered = core.answer(stream, kind, ranges, delay_us, now);
    return answered ? ErrorCode::kOk : answered.error().code;
  }
};

StreamId holder(const Delivered& delivered, Offset offset) {
  for (const auto& r : delivered)
    if (r.first <= offset && offset <= r.last) return r.stream;
  return 0;
}

TEST_CASE("messages of a key go to one consumer, also after another has joined, until drained") {
  std::vector<std::uint32_t> keys;
  for (std::uint32_t i = 0; i < 200; ++i) keys.push_back(1 + i % 50);
  Keyed k(keys);
  k.core = SubscriptionCore(5, Type::shared, Mode::nonresilient, true);
  k.core.create(0);
  k.core.open(0, 100, k.now);
  k.attach(kAlice);
  CHECK(messages_of(k.deliver_all(), kAlice) == 100);
  k.attach(kBob);
  k.core.committed(200);
  CHECK(messages_of(k.deliver_all(), kAlice) == 100);  // all keys are in flight with her
  CHECK(k.answer(Kind::acknowledge, kAlice, {{0, 199}}) == ErrorCode::kOk);
  CHECK(k.core.floor() == 200);
  REQUIRE(k.core.reset(0).has_value());
  k.attach(kAlice);
  k.attach(kBob);
  const auto both = k.deliver_all();
  CHECK(messages_of(both, kAlice) > 40);
  CHECK(messages_of(both, kBob) > 40);
  for (Offset o = 0; o < 150; ++o) CHECK(holder(both, o) == holder(both, o + 50));
}

TEST_CASE("an unacknowledged message blocks its key, and no other") {
  Keyed k({7, 8, 7, 8, 7, 8});
  k.attach(kAlice, 2);
  CHECK(ranges_of(k.deliver_all()) == Ranges{{0, 1}});
  CHECK(k.answer(Kind::unacknowledge, kAlice, {{0, 0}}, 5'000) == ErrorCode::kOk);
  REQUIRE(k.core.credit(kAlice, 0, 100).has_value());
  CHECK(ranges_of(k.deliver_all()) == Ranges{{3, 3}, {5, 5}});
  CHECK(k.core.stats().set_aside == 2);
  CHECK(k.core.blocked() == "waiting for the consumers that have the keys of what is left");
  k.now.steady_us += 5'000;
  k.core.advance(k.now);
  Offset next = 0;  // in order
  for (const auto& r : k.deliver_all())
    for (Offset o = r.first; o <= r.last; ++o, next += 2) CHECK(o == next);
  CHECK(next == 6);
}

TEST_CASE("a key waits for its consumer's credit; what has no key goes to anybody") {
  Keyed k({7, 0, 7, 0});
  k.attach(kAlice);
  const bool alices = k.deliver_all().size() > 0;
  CHECK(alices);
  k.attach(kBob, 0);
  CHECK(k.answer(Kind::unacknowledge, kAlice, {{0, 3}}) == ErrorCode::kOk);
  k.attach(kAlice, 0);
  REQUIRE(k.core.credit(kBob, 0, 10).has_value());
  const auto bobs = k.deliver_all();
  CHECK(holder(bobs, 1) == kBob);
  CHECK(holder(bobs, 3) == kBob);
  CHECK(holder(bobs, 0) == holder(bobs, 2));
}

TEST_CASE("keys that wait for a consumer move to one that joins, and all of them when it leaves") {
  std::vector<std::uint32_t> keys;
  for (std::uint32_t i = 0; i < 200; ++i) keys.push_back(1 + i % 100);
  Keyed k(keys);
  k.attach(kAlice, 0);
  k.attach(kCarol);
  const std::uint64_t carols = messages_of(k.deliver_all(), kCarol);
  CHECK(k.core.stats().set_aside == 200 - carols);
  k.attach(kBob);
  const std::uint64_t bobs = messages_of(k.deliver_all(), kBob);
  CHECK(bobs > 20);
  CHECK(k.core.stats().set_aside == 200 - carols - bobs);
  CHECK(k.core.stats().set_aside > 20);
  k.core.detach(kAlice, k.now);
  (void)k.deliver_all();
  CHECK(k.core.stats().in_flight == 200);
}

TEST_CASE("the look-ahead for the order of keys is bounded") {
  Keyed k(std::vector<std::uint32_t>(30'000, 7));
  k.attach(kAlice, 1);
  (void)k.deliver_all();
  CHECK(k.answer(Kind::unacknowledge, kAlice, {{0, 0}}, 1'000) == ErrorCode::kOk);
  REQUIRE(k.core.credit(kAlice, 0, 100).has_value());
  CHECK(k.deliver_all().empty());
  CHECK(k.core.stats().set_aside == limits::kMaxKeyLookAhead);
  CHECK(k.core.blocked() == "look-ahead for key order is full");
  CHECK(k.answer(Kind::acknowledge, kAlice, {{0, 0}}) == ErrorCode::kOk);
  CHECK(messages_of(k.deliver_all(), kAlice) == 100);
}

}  // namespace
}  // namespace andyx::server
