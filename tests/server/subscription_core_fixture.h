// A subscription core with what a shell does for it. For the tests of one thread.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "common_generated.h"
#include "server/subscription/subscription_core.h"
#include "subscription_generated.h"

namespace andyx::server {

using Kind = protocol::AnswerKind;
using Mode = protocol::SubscriptionMode;
using Type = protocol::SubscriptionType;
using Ranges = std::vector<OffsetRange>;
using Delivered = std::vector<SubscriptionCore::DeliveredRange>;
using StreamOptions = SubscriptionCore::StreamOptions;

inline constexpr StreamId kAlice = 1, kBob = 2;
inline constexpr std::uint32_t kBatch = 10;  // messages in a batch, which begin at multiples of it
inline constexpr std::uint32_t kBatchBytes = 1'000;

inline StreamOptions options(std::uint64_t epoch, std::uint64_t bytes, std::uint64_t messages) {
  return {.attach_epoch = epoch, .credit_bytes = bytes, .credit_messages = messages};
}

inline Ranges ranges_of(const Delivered& delivered, StreamId stream = 0) {
  Ranges ranges;
  for (const auto& r : delivered)
    if (stream == 0 || r.stream == stream) ranges.push_back({r.first, r.last});
  return ranges;
}

// A core over a log of `committed` messages, with what a shell does for it.
struct CoreFixture {
  SubscriptionCore core;
  Now now{.wall_us = 1'000, .steady_us = 50};

  explicit CoreFixture(Mode mode, Offset committed = 100, Offset start = 0,
                       Type type = Type::shared)
      : core(5, type, mode, false) {
    core.create(start);
    core.open(0, committed, now);
    (void)core.take_change();
  }

  void attach(StreamId stream = kAlice, std::uint64_t epoch = 1, std::uint64_t messages = 1'000,
              std::uint64_t bytes = 1'000'000) {
    attach(stream, options(epoch, bytes, messages));
  }
  void attach(StreamId stream, const StreamOptions& with) {
    REQUIRE(core.attach(stream, with, now).has_value());
  }
  void pass_time(TimeUs us) {
    now.wall_us += us;
    now.steady_us += us;
    core.advance(now);
  }

  SubscriptionCore::Batch batch_of(Offset offset) const {
    return {offset - offset % kBatch, kBatch, kBatchBytes};
  }

  // What the next want brings; nothing when there is none.
  Delivered deliver(bool* redelivery = nullptr) {
    Delivered out;
    const auto want = core.next_want();
    if (!want) return out;
    if (redelivery != nullptr) *redelivery = want->redelivery;
    core.take(*want, batch_of(want->from), now, out);
    return out;
  }
  Ranges deliver_ranges() { return ranges_of(deliver()); }
  Delivered deliver_all() {
    Delivered all;
    while (const auto want = core.next_want()) core.take(*want, batch_of(want->from), now, all);
    return all;
  }
  ErrorCode answer(Kind kind, Ranges ranges, StreamId stream = kAlice, std::uint64_t delay_us = 0) {
    const auto answered = core.answer(stream, kind, ranges, delay_us, now);
    return answered ? ErrorCode::kOk : answered.error().code;
  }
};

}  // namespace andyx::server
