// How long a message takes in the core; nothing is asserted. Run it with -ns -tc="*nanoseconds*".
#include <cstring>
#include <ctime>
#include <string>

#include "protocol/batch/batch_format.h"
#include "server/subscription/credit.h"
#include "tests/server/subscription_core_fixture.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kCount = 100;
constexpr Offset kMessages = 5'000'000;

double run(std::uint32_t streams, std::uint64_t ack_timeout_us, bool key_ordered) {
  std::vector<std::uint8_t> bytes(batch::kHeaderBytes + 8 * kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::uint32_t key = 1 + i * 7'919;
    std::memcpy(&bytes[batch::kHeaderBytes + 8 * i + 4], &key, 4);
  }
  SubscriptionCore core(5, Type::shared, Mode::nonresilient, key_ordered);
  core.create(0);
  core.open(0, kMessages, {});
  StreamOptions with = options(1, limits::kMaxCreditBytes, 10'000);
  with.ack_timeout_us = ack_timeout_us;
  for (StreamId stream = 1; stream <= streams; ++stream)
    REQUIRE(core.attach(stream, with, {}).has_value());
  const std::clock_t begin = std::clock();
  bool fine = true;
  Delivered out;
  Now now;
  while (core.floor() < kMessages) {
    out.clear();
    while (out.size() < 100) {
      const auto want = core.next_want();
      if (!want) break;
      core.take(*want, {want->from - want->from % kCount, kCount, 10'000, bytes}, now, out);
    }
    now.steady_us += 1'000;
    core.advance(now);
    for (const auto& range : out) {
      const OffsetRange answered{range.first, range.last};
      fine &= core.answer(range.stream, Kind::acknowledge, {&answered, 1}, 0, now).has_value();
      const std::uint64_t messages = range.last - range.first + 1;
      fine &=
          core.credit(range.stream, credit_charge(10'000, kCount, messages), messages).has_value();
    }
    (void)core.take_change();
  }
  REQUIRE(fine);
  return 1e9 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / kMessages;
}

TEST_CASE("nanoseconds for each message: shared nonresilient" * doctest::skip()) {
  MESSAGE("an idle core has ", sizeof(SubscriptionCore), " bytes");
  for (const bool key_ordered : {false, true})
    for (const std::uint32_t streams : {1u, 4u, 100u})
      for (const std::uint64_t timeout : {0u, 30'000'000u})
        MESSAGE(streams, " streams, ack timeout ", timeout, " us",
                std::string(key_ordered ? ", by key" : ""), ": ",
                run(streams, timeout, key_ordered), " ns");
}

}  // namespace
}  // namespace andyx::server
