// What is delivered next, to whom, and how much of it.
#include <algorithm>
#include <cassert>

#include "server/subscription/subscription_core.h"

namespace andyx::server {

namespace {

// Fresh messages that may pass for each redelivered one while redeliveries wait.
constexpr std::int64_t kFreshPerRedelivery = 4;

}  // namespace

// How many fresh messages may be delivered. Were all unanswered ones answered in the worst order,
// at most every second would leave a range; so the answered set stays within its bound whatever
// comes.
std::uint64_t SubscriptionCore::window() const {
  const std::uint64_t unanswered = held_.offsets() + waiting_.offsets();
  const std::uint64_t ranges = answered_.range_count();
  const std::uint64_t room =
      ranges < limits::kMaxAnsweredRanges ? 2 * (limits::kMaxAnsweredRanges - ranges) : 0;
  if (room > unanswered) return room - unanswered;
  return unanswered == 0 ? 1 : 0;  // the one at the floor never adds a range
}

bool SubscriptionCore::may_fetch_fresh() const {
  if (fresh_.pending || next_fresh() >= committed_ || window() == 0) return false;
  return !resilient() || (waiting_.empty() && held_.empty() && !redelivery_.pending);
}

bool SubscriptionCore::may_fetch_redelivery() const {
  if (redelivery_.pending || waiting_.empty()) return false;
  return !resilient() || (held_.empty() && !fresh_.pending);
}

Offset SubscriptionCore::next_redelivery() const {
  const auto* next = resilient() ? nullptr : waiting_.lower(redelivery_from_);
  if (next == nullptr) return waiting_.lower(0)->first;
  return std::max(next->first, redelivery_from_);
}

SubscriptionCore::Stream* SubscriptionCore::next_stream_with_credit() {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    turn_ = (turn_ + 1) % streams_.size();
    if (streams_[turn_].has_credit()) return &streams_[turn_];
  }
  return nullptr;
}

std::optional<SubscriptionCore::Want> SubscriptionCore::next_want() {
  const bool fresh = may_fetch_fresh();
  const bool redelivery = may_fetch_redelivery();
  if (!fresh && !redelivery) return std::nullopt;
  const Stream* stream = next_stream_with_credit();
  if (stream == nullptr) return std::nullopt;
  const bool redeliver = redelivery && (!fresh || redelivery_owed_ >= kFreshPerRedelivery);
  Lane& lane = redeliver ? redelivery_ : fresh_;
  lane = {.pending = true, .stream = stream->id, .ticket = next_ticket_++};
  return Want{.stream = stream->id,
              .from = redeliver ? next_redelivery() : next_fresh(),
              .redelivery = redeliver,
              .ticket = lane.ticket};
}

void SubscriptionCore::fetch_failed(const Want& want) {
  Lane& lane = want.redelivery ? redelivery_ : fresh_;
  if (lane.ticket == want.ticket) lane.pending = false;
}

std::uint64_t SubscriptionCore::allowance(const Stream& stream, const Batch& batch) const {
  assert(!resilient() || held_.empty());
  if (!stream.has_credit()) return 0;
  if (resilient()) return 1;
  const auto by_bytes =
      static_cast<std::uint64_t>(stream.credit_bytes) * batch.count / batch.size_bytes;
  return std::min(stream.credit_messages, std::max<std::uint64_t>(by_bytes, 1));
}

SubscriptionCore::Taken SubscriptionCore::take(const Want& want, const Batch& batch, TimeUs now_us,
                                               std::vector<DeliveredRange>& out) {
  Lane& lane = want.redelivery ? redelivery_ : fresh_;
  if (!lane.pending || lane.ticket != want.ticket) return {};
  lane.pending = false;
  assert(batch.count > 0 && batch.size_bytes > 0);
  assert(batch.base_offset <= want.from && want.from - batch.base_offset < batch.count);
  Stream& stream = *find_stream(want.stream);  // a pending lane's stream is attached
  Delivery delivery{.taken = {}, .first_range = out.size(), .out = out};
  const std::uint64_t allowed = allowance(stream, batch);
  if (want.redelivery)
    take_waiting(want.from, batch, allowed, stream.id, now_us, delivery);
  else
    take_fresh(batch, allowed, stream.id, now_us, delivery);
  const std::uint64_t messages = delivery.taken.messages;
  stream.credit_messages -= messages;
  stream.credit_bytes -=
      static_cast<std::int64_t>(credit_charge(batch.size_bytes, batch.count, messages));
  share(want.redelivery, static_cast<std::int64_t>(messages));
  return delivery.taken;
}

// What a lane got while the other one had work, too. One large redelivery is paid back at most
// once, and nothing is owed for what was redelivered while there was nothing else to do.
void SubscriptionCore::share(bool redelivery, std::int64_t messages) {
  if (waiting_.empty() || next_fresh() >= committed_)
    redelivery_owed_ = 0;
  else if (redelivery)
    redelivery_owed_ = std::max(redelivery_owed_, std::int64_t{0}) - kFreshPerRedelivery * messages;
  else
    redelivery_owed_ += messages;
}

void SubscriptionCore::take_fresh(const Batch& batch, std::uint64_t allowed, StreamId stream,
                                  TimeUs now_us, Delivery& delivery) {
  const Offset end = std::min(batch.base_offset + batch.count, committed_);
  allowed = std::min(allowed, window());
  next_ = next_fresh();
  while (next_ < end && delivery.taken.messages < allowed && !delivery.full()) {
    Offset last = std::min(end - 1, next_ + (allowed - delivery.taken.messages) - 1);
    const auto answered = answered_.next_range(next_);
    if (answered) last = std::min(last, answered->first - 1);
    next_ = emit(next_, last, stream, now_us, delivery);
    next_ = next_fresh();
  }
}

void SubscriptionCore::take_waiting(Offset from, const Batch& batch, std::uint64_t allowed,
                                    StreamId stream, TimeUs now_us, Delivery& delivery) {
  const Offset end = batch.base_offset + batch.count;
  redelivery_from_ = from;
  while (delivery.taken.messages < allowed && !delivery.full()) {
    const auto* waiting = waiting_.lower(redelivery_from_);
    if (waiting == nullptr || waiting->first >= end) break;
    const Offset first = std::max(waiting->first, redelivery_from_);
    const Offset last =
        std::min({waiting->last, end - 1, first + (allowed - delivery.taken.messages) - 1});
    redelivery_from_ = emit(first, last, stream, now_us, delivery);
    waiting_.cut(first, redelivery_from_ - 1);
  }
}

// Puts first..last in flight, in pieces of equal history, until the delivery is full. Returns the
// offset behind what was put.
Offset SubscriptionCore::emit(Offset first, Offset last, StreamId stream, TimeUs now_us,
                              Delivery& delivery) {
  Offset at = first;
  while (at <= last && !delivery.full()) {
    const auto* known = history_.lower(at);
    DeliveredRange piece{.first = at, .last = last};
    if (known != nullptr && known->first > at) {
      piece.last = std::min(last, known->first - 1);
    } else if (known != nullptr) {
      const std::uint64_t room = kMaxRedeliveriesPerTake - delivery.taken.redeliveries;
      piece.last = std::min({last, known->last, at + room - 1});
      piece.delivered_before = known->value.count;
      piece.first_delivered_us = known->value.first_delivered_us;
      delivery.taken.redeliveries += piece.last - piece.first + 1;
    }
    delivery.taken.messages += piece.last - piece.first + 1;
    delivery.out.push_back(piece);
    at = piece.last + 1;
  }
  held_.insert(first, at - 1, {stream, now_us});
  return at;
}

std::string_view SubscriptionCore::blocked() const {
  if (streams_.empty()) return "no consumer is attached";
  if (resilient() && !held_.empty()) return "waiting for the answer to the message in flight";
  if (waiting_.empty() && next_fresh() >= committed_) return "nothing to deliver";
  if (std::none_of(streams_.begin(), streams_.end(),
                   [](const Stream& stream) { return stream.has_credit(); }))
    return "the consumer has given no credit";
  if (waiting_.empty() && window() == 0)
    return "too many unanswered messages: the set of answers above them is full";
  return {};
}

SubscriptionCore::Stats SubscriptionCore::stats() const {
  Stats stats{.floor = answered_.floor(),
              .committed = committed_,
              .answered_above_floor = answered_.count_above_floor(),
              .in_flight = held_.offsets(),
              .waiting_redelivery = waiting_.offsets(),
              .skipped = skipped_};
  const Offset answered_end = stats.floor + stats.answered_above_floor;
  stats.lag = committed_ > answered_end ? committed_ - answered_end : 0;
  for (const Stream& stream : streams_) {
    stats.credit_messages += stream.credit_messages;
    stats.credit_bytes +=
        static_cast<std::uint64_t>(std::max<std::int64_t>(stream.credit_bytes, 0));
  }
  return stats;
}

}  // namespace andyx::server
