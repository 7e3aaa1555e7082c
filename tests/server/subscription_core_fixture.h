// A subscription core with what a shell does for it. For the tests of one thread.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "server/subscription/subscription_core.h"
#include "subscription_generated.h"

namespace andyx::server {

using Kind = protocol::AnswerKind;
using Mode = protocol::SubscriptionMode;
using Ranges = std::vector<OffsetRange>;

inline constexpr StreamId kAlice = 1, kBob = 2;
inline constexpr std::uint32_t kBatch = 10;  // messages in a batch, which begin at multiples of it
inline constexpr std::uint32_t kBatchBytes = 1'000;

// A core over a log of `committed` messages, with what a shell does for it.
struct CoreFixture {
  SubscriptionCore core;
  TimeUs now_us = 1'000;

  explicit CoreFixture(Mode mode, Offset committed = 100, Offset start = 0) : core(5, mode) {
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

}  // namespace andyx::server
