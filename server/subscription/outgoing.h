// The Deliver frame under construction of one stream. Values; one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/base/limits.h"
#include "protocol/base/shared_bytes.h"
#include "server/subscription/subscription_core.h"
#include "subscription_generated.h"

namespace andyx::server {

struct Outgoing {
  std::vector<SharedBytes> batches;
  std::vector<protocol::OffsetRange> ranges;
  std::vector<protocol::Redelivery> redeliveries;
  std::uint64_t charged_bytes = 0;
  std::size_t bytes = 0;
  // Of the batch that is being divided.
  std::size_t first_range = 0;
  std::uint64_t messages = 0;

  bool empty() const { return batches.empty() && messages == 0; }
  // Ranges of a frame rise; a frame with many is sent.
  bool takes(Offset first) const {
    return (ranges.empty() || ranges.back().last() < first) &&
           ranges.size() < limits::kMaxRangesPerAnswer &&
           redeliveries.size() < limits::kMaxRangesPerAnswer;
  }
  void add(const SubscriptionCore::DeliveredRange& taken) {
    if (messages == 0) first_range = ranges.size();
    messages += taken.last - taken.first + 1;
    ranges.emplace_back(taken.first, taken.last);
    if (taken.delivered_before == 0) return;
    for (Offset offset = taken.first; offset <= taken.last; ++offset) {
      redeliveries.emplace_back(offset, taken.first_delivered_us, taken.delivered_before);
    }
  }
};

}  // namespace andyx::server
