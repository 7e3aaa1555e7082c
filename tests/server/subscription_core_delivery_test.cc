#include <doctest/doctest.h>

#include "server/subscription/credit.h"
#include "tests/server/subscription_core_fixture.h"

namespace andyx::server {
namespace {

// ---- Delivery ----

TEST_CASE(
    "without a consumer, a message or credit nothing is wanted, and blocked says which it is") {
  CoreFixture f(Mode::nonresilient, 10);
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
  CoreFixture f(Mode::nonresilient, 4);
  f.attach();
  CHECK(f.deliver_ranges() == Ranges{{0, 3}});
  CHECK(f.deliver_ranges().empty());
  f.core.committed(15);
  CHECK(f.deliver_ranges() == Ranges{{4, 9}});
  CHECK(f.deliver_ranges() == Ranges{{10, 14}});
}

TEST_CASE("a subscription begins at its start") {
  CoreFixture f(Mode::nonresilient, 30, 17);
  f.attach();
  CHECK(f.deliver_ranges() == Ranges{{17, 19}});
}

TEST_CASE("answered messages are left out") {
  CoreFixture f(Mode::nonresilient, 20);
  f.attach();
  CHECK(f.answer(Kind::acknowledge, {{0, 1}, {4, 5}, {9, 12}}) == ErrorCode::kOk);
  CHECK(f.deliver_ranges() == Ranges{{2, 3}, {6, 8}});
  CHECK(f.deliver_ranges() == Ranges{{13, 19}});
}

TEST_CASE("message credit bounds what is in flight") {
  CoreFixture f(Mode::nonresilient);
  f.attach(kAlice, 1, 13);
  f.deliver_all();
  CHECK(f.core.stats().in_flight == 13);
  REQUIRE(f.core.credit(kAlice, 0, 2).has_value());
  CHECK(f.deliver_ranges() == Ranges{{13, 14}});
}

TEST_CASE("byte credit buys shares of a batch, and one message at least") {
  CoreFixture f(Mode::nonresilient);
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
  CoreFixture f(Mode::nonresilient);
  const auto code = [](const auto& result) {
    return result ? ErrorCode::kOk : result.error().code;
  };
  CHECK(code(f.core.attach(kAlice, options(1, limits::kMaxCreditBytes + 1, 1), {})) ==
        ErrorCode::kCreditOverflow);
  CHECK(code(f.core.attach(kAlice, options(1, 1, limits::kMaxCreditMessages + 1), {})) ==
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
  CoreFixture f(Mode::nonresilient);
  f.attach();
  const auto want = f.core.next_want();
  REQUIRE(want.has_value());
  CHECK_FALSE(f.core.next_want().has_value());
  f.core.fetch_failed(*want);
  const auto again = f.core.next_want();
  REQUIRE(again.has_value());
  CHECK(again->from == want->from);
  std::vector<SubscriptionCore::DeliveredRange> out;
  CHECK(f.core.take(*want, f.batch_of(0), {1, 1}, out).messages == 0);  // of before
  f.core.fetch_failed(*want);
  CHECK_FALSE(f.core.next_want().has_value());
  CHECK(f.core.take(*again, f.batch_of(0), {1, 1}, out).messages == 10);
  CHECK(f.core.take(*again, f.batch_of(0), {1, 1}, out).messages == 0);  // twice
}

TEST_CASE("a slow fetch of redeliveries does not hold up fresh messages") {
  CoreFixture f(Mode::nonresilient);
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
    f.core.take(*want, f.batch_of(want->from), {1, 1}, out);
    fresh.push_back({out.at(0).first, out.at(0).last});
  }
  REQUIRE(slow.has_value());
  CHECK(fresh == Ranges{{10, 19}, {20, 29}, {30, 39}, {40, 49}});
  std::vector<SubscriptionCore::DeliveredRange> out;
  CHECK(f.core.take(*slow, f.batch_of(0), {1, 1}, out).redeliveries == 10);
}

TEST_CASE("a want of a stream that went, or from before a reset, brings nothing") {
  CoreFixture f(Mode::nonresilient);
  std::vector<SubscriptionCore::DeliveredRange> out;
  f.attach();
  auto want = f.core.next_want();
  f.core.detach(kAlice, {});
  CHECK(f.core.take(*want, f.batch_of(want->from), {1, 1}, out).messages == 0);
  f.attach();
  want = f.core.next_want();
  REQUIRE(want.has_value());
  REQUIRE(f.core.reset(50).has_value());
  CHECK(f.core.take(*want, f.batch_of(want->from), {1, 1}, out).messages == 0);
  f.attach();
  CHECK(f.deliver_ranges() == Ranges{{50, 59}});
}

TEST_CASE("messages answered while their batch is fetched are not delivered") {
  CoreFixture f(Mode::nonresilient);
  f.attach();
  const auto want = f.core.next_want();
  REQUIRE(f.answer(Kind::acknowledge, {{0, 7}}) == ErrorCode::kOk);
  std::vector<SubscriptionCore::DeliveredRange> out;
  CHECK(f.core.take(*want, f.batch_of(0), {1, 1}, out).messages == 2);
  CHECK(out.at(0).first == 8);
}

// ---- Resilient ----

TEST_CASE("resilient: one message at a time, the next after acknowledge or skip") {
  CoreFixture f(Mode::resilient);
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
  CoreFixture f(Mode::resilient);
  f.attach();
  (void)f.deliver();
  for (std::uint32_t times = 1; times <= 3; ++times) {
    f.pass_time(10);
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
  CoreFixture f(Mode::resilient);
  f.attach(kAlice, 1);
  f.attach(kBob, 1);
  const auto want = f.core.next_want();
  REQUIRE(want.has_value());
  CHECK_FALSE(f.core.next_want().has_value());
  std::vector<SubscriptionCore::DeliveredRange> out;
  f.core.take(*want, f.batch_of(0), {1, 1}, out);
  CHECK(out.size() == 1);
  CHECK_FALSE(f.core.next_want().has_value());
}

TEST_CASE("resilient: a consumer that went leaves its message to the next, in order") {
  CoreFixture f(Mode::resilient);
  f.attach(kAlice, 1);
  (void)f.deliver();
  f.attach(kBob, 2);
  CHECK(f.deliver_ranges() == Ranges{{0, 0}});
  CHECK(f.answer(Kind::acknowledge, {{0, 0}}, kBob) == ErrorCode::kOk);
  CHECK(f.deliver_ranges() == Ranges{{1, 1}});
}

// ---- Redelivery ----

TEST_CASE("unacknowledged messages get at least a tenth of the deliveries of a busy topic") {
  CoreFixture f(Mode::nonresilient, 100'000);
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

TEST_CASE("what a consumer held when it left goes to the next one before anything else, in order") {
  CoreFixture f(Mode::nonresilient, 100, 0, Type::failover);
  f.attach(kAlice, 1, 30);
  f.deliver_all();
  f.core.detach(kAlice, f.now);
  f.attach(kBob, 2);
  Offset expected = 0;
  for (Delivered delivered = f.deliver(); !delivered.empty(); delivered = f.deliver()) {
    for (const auto& r : delivered) {
      CHECK(r.first == expected);
      expected = r.last + 1;
    }
  }
  CHECK(expected == 100);
}

TEST_CASE("redelivery goes round: a message that fails for ever starves no other") {
  CoreFixture f(Mode::nonresilient, 100);
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
  SubscriptionCore core(5, Type::unique, Mode::nonresilient, false);
  core.create(0);
  core.open(0, kHuge, {});
  const auto deliver = [&] {
    std::vector<SubscriptionCore::DeliveredRange> out;
    const auto want = core.next_want();
    REQUIRE(want.has_value());
    return core.take(*want, {0, kHuge, 1'000'000}, {1, 1}, out);
  };
  REQUIRE(core.attach(kAlice, options(1, limits::kMaxCreditBytes, kHuge), {}).has_value());
  CHECK(deliver().messages == kHuge);
  REQUIRE(core.attach(kAlice, options(1, limits::kMaxCreditBytes, kHuge), {}).has_value());
  for (int i = 0; i < 5; ++i) {
    const auto taken = deliver();
    CHECK(taken.messages == SubscriptionCore::kMaxRedeliveriesPerTake);
    CHECK(taken.redeliveries == SubscriptionCore::kMaxRedeliveriesPerTake);
  }
  CHECK_FALSE(core.next_want().has_value());
}

}  // namespace
}  // namespace andyx::server
