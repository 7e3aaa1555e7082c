// Parts of SubscriptionCore that only its own files need.
#pragma once

#include <limits>
#include <vector>

#include "server/subscription/subscription_core.h"

namespace andyx::server {

struct SubscriptionCore::Rare {
  struct Later {
    TimeUs due_us = 0;  // steady
    bool operator==(const Later&) const = default;
  };

  RangeMap<Later> later;       // wait for redelivery, and are not due
  RangeMap<Nothing> dead;      // set aside for the dead-letter topic
  RangeMap<Nothing> round;     // on their way there; durable. Answered by dead_round_done() only
  RangeMap<Nothing> matured;   // durable
  RangeMap<Nothing> maturing;  // of these: not durable yet
  std::uint64_t delayed = 0;
  std::uint64_t dead_lettered = 0;

  // Since the last take_change().
  std::vector<OffsetRange> noted_matured;
  std::vector<OffsetRange> noted_settled;  // that were matured
};

struct SubscriptionCore::Take {
  const Batch& batch;
  Now now;
  std::uint64_t id;
  std::vector<DeliveredRange>& out;
  std::size_t first_range;  // of this take in `out`
  Taken taken = {};

  Offset end() const { return batch.base_offset + batch.count; }
  bool full() const {
    return out.size() - first_range >= kMaxRangesPerTake ||
           taken.redeliveries >= kMaxRedeliveriesPerTake;
  }
};

inline constexpr TimeUs kNever = std::numeric_limits<TimeUs>::max();

inline const SubscriptionCore::Rare& SubscriptionCore::rare() const {
  static const Rare kNone;
  return rare_ ? *rare_ : kNone;
}

inline SubscriptionCore::Rare& SubscriptionCore::make_rare() {
  if (!rare_) rare_ = std::make_unique<Rare>();
  return *rare_;
}

template <typename Change>
void SubscriptionCore::change_stream(Stream& stream, Change&& change) {
  able_ -= stream.able();
  change();
  able_ += stream.able();
}

}  // namespace andyx::server
