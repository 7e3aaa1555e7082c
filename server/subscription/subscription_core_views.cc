// What operators see of a subscription on a partition.
#include <algorithm>

#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

SubscriptionCore::Stats SubscriptionCore::stats() const {
  Stats stats{.floor = answered_.floor(),
              .committed = committed_,
              .answered_above_floor = answered_.count_above_floor(),
              .in_flight = held_.offsets(),
              .waiting_redelivery = waiting_.offsets() + rare().later.offsets(),
              .set_aside = keys_ ? keys_->parked().offsets() : 0,
              .skipped = skipped_,
              .delayed = rare().delayed,
              .dead_lettered = rare().dead_lettered,
              .dead_waiting = rare().dead.offsets() + rare().round.offsets()};
  const Offset answered_end = stats.floor + stats.answered_above_floor;
  stats.lag = committed_ > answered_end ? committed_ - answered_end : 0;
  stats.lag += rare().matured.offsets();
  for (const Stream& stream : streams_) {
    stats.credit_messages += stream.credit_messages;
    stats.credit_bytes +=
        static_cast<std::uint64_t>(std::max<std::int64_t>(stream.credit_bytes, 0));
  }
  return stats;
}

Offset SubscriptionCore::oldest_unanswered() const {
  const Offset oldest = std::min(answered_.floor(), committed_);
  const auto* matured = rare().matured.lower(0);
  return matured == nullptr ? oldest : std::min(oldest, matured->first);
}

std::string_view SubscriptionCore::blocked() const {
  const auto any = [&](auto&& is) { return std::any_of(streams_.begin(), streams_.end(), is); };
  if (!any([](const Stream& s) { return !s.retired; })) return "no consumer is attached";
  if (!any([](const Stream& s) { return s.live(); })) return "the partition changes its consumer";
  const bool dead = !rare().dead.empty() || !rare().round.empty();
  const bool later = !rare().later.empty();
  if (resilient()) {
    if (!held_.empty()) return "waiting for the answer to the message in flight";
    if (later) return "waiting for the delay of an unacknowledged message";
    if (dead) return "waiting for the dead-letter topic";
  }
  const bool fresh = next_fresh() < committed_;
  const bool set_aside = keys_ && !keys_->parked().empty();
  if (waiting_.empty() && !fresh && !set_aside) {
    if (later) return "waiting for the delay of an unacknowledged message";
    if (dead) return "waiting for the dead-letter topic";
    return "nothing to deliver";
  }
  if (!any([](const Stream& s) { return s.live() && s.has_credit(); }))
    return "the consumer has given no credit";
  if (able_ == 0) return "the connection of the consumer is congested";
  if (keys_ ? next_redelivery_keyed().has_value() : !waiting_.empty()) return {};
  if (!fresh) return "waiting for the consumers that have the keys of what is left";
  if (keys_ && keys_->parked().offsets() >= limits::kMaxKeyLookAhead)
    return "look-ahead for key order is full";
  if (window() < 2 && unanswered() > 0)
    return "too many unanswered messages: the set of answers above them is full";
  return {};
}

}  // namespace andyx::server
