// Streams, credits and answers. See also subscription_core_state.cc and
// subscription_core_delivery.cc.
#include "server/subscription/subscription_core.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "subscription_generated.h"

namespace andyx::server {

namespace {

Status check_credit(std::uint64_t bytes, std::uint64_t messages) {
  if (bytes > limits::kMaxCreditBytes || messages > limits::kMaxCreditMessages)
    return fail(ErrorCode::kCreditOverflow,
                "credit of " + std::to_string(bytes) + " bytes and " + std::to_string(messages) +
                    " messages; at most " + std::to_string(limits::kMaxCreditBytes) + " and " +
                    std::to_string(limits::kMaxCreditMessages) + " are possible");
  return {};
}

std::string describe(const OffsetRange& range) {
  return "offsets " + std::to_string(range.first) + ".." + std::to_string(range.last);
}

}  // namespace

SubscriptionCore::SubscriptionCore(SubscriptionId id, protocol::SubscriptionMode mode)
    : id_(id), mode_(mode) {}

bool SubscriptionCore::resilient() const { return mode_ == protocol::SubscriptionMode::resilient; }

void SubscriptionCore::committed(Offset offset) { committed_ = std::max(committed_, offset); }

void SubscriptionCore::log_start_advanced(Offset start) {
  assert(start <= committed_);
  log_start_ = std::max(log_start_, start);
  raise_floor(start);
}

void SubscriptionCore::raise_floor(Offset floor) {
  if (floor <= answered_.floor()) return;
  answered_.advance_floor(floor);
  const Offset last = answered_.floor() - 1;
  history_.cut(0, last);
  held_.cut(0, last);
  waiting_.cut(0, last);
  changed_ = true;
}

Result<std::vector<StreamId>> SubscriptionCore::reset(Offset to) {
  if (to < log_start_ || to > committed_)
    return fail(ErrorCode::kOffsetOutOfRange,
                "reset to " + std::to_string(to) + "; the partition holds " +
                    std::to_string(log_start_) + " up to " + std::to_string(committed_));
  std::vector<StreamId> ended;
  for (const Stream& stream : streams_) ended.push_back(stream.id);
  streams_.clear();
  fresh_.pending = redelivery_.pending = false;
  held_.clear();
  waiting_.clear();
  history_.clear();
  answered_.reset(to);
  next_ = to;
  note_whole_state();
  return ended;
}

Result<SubscriptionCore::Attached> SubscriptionCore::attach(StreamId stream,
                                                            std::uint64_t attach_epoch,
                                                            std::uint64_t credit_bytes,
                                                            std::uint64_t credit_messages) {
  if (attach_epoch < attach_epoch_)
    return fail(ErrorCode::kStaleAttach, "attach epoch " + std::to_string(attach_epoch) +
                                             "; epoch " + std::to_string(attach_epoch_) +
                                             " has taken over");
  if (auto fits = check_credit(credit_bytes, credit_messages); !fits)
    return std::unexpected(std::move(fits.error()));
  detach(stream);
  Attached attached;
  while (attach_epoch > attach_epoch_ && !streams_.empty()) {
    attached.ended.push_back(streams_.back().id);
    detach(streams_.back().id);
  }
  attach_epoch_ = attach_epoch;
  streams_.push_back({.id = stream,
                      .credit_bytes = static_cast<std::int64_t>(credit_bytes),
                      .credit_messages = credit_messages});
  attached.floor = answered_.floor();
  attached.committed = committed_;
  return attached;
}

void SubscriptionCore::detach(StreamId stream) {
  Stream* found = find_stream(stream);
  if (found == nullptr) return;
  give_back_all(stream);
  end_lanes_of(stream);
  streams_.erase(streams_.begin() + (found - streams_.data()));
}

Status SubscriptionCore::credit(StreamId stream, std::uint64_t bytes, std::uint64_t messages) {
  Stream* found = find_stream(stream);
  if (found == nullptr)
    return fail(ErrorCode::kUnknownStream, "credit for a stream that is not attached");
  if (auto fits = check_credit(bytes, messages); !fits) return fits;
  const std::int64_t sum = found->credit_bytes + static_cast<std::int64_t>(bytes);
  if (auto fits = check_credit(static_cast<std::uint64_t>(std::max<std::int64_t>(sum, 0)),
                               found->credit_messages + messages);
      !fits)
    return fits;
  found->credit_bytes = sum;
  found->credit_messages += messages;
  return {};
}

Status SubscriptionCore::answer(StreamId stream, protocol::AnswerKind kind,
                                std::span<const OffsetRange> ranges) {
  if (auto fits = check_answer(stream, kind, ranges); !fits) return fits;
  for (const OffsetRange& range : ranges) {
    if (kind == protocol::AnswerKind::unacknowledge)
      give_back(range.first, range.last);
    else
      settle(range.first, range.last, kind == protocol::AnswerKind::skip);
  }
  return {};
}

Status SubscriptionCore::check_answer(StreamId stream, protocol::AnswerKind kind,
                                      std::span<const OffsetRange> ranges) const {
  if (!attached(stream))
    return fail(ErrorCode::kUnknownStream, "answer of a stream that is not attached");
  if (ranges.size() > limits::kMaxRangesPerAnswer)
    return fail(ErrorCode::kBadArgument,
                std::to_string(ranges.size()) + " ranges in one answer; at most " +
                    std::to_string(limits::kMaxRangesPerAnswer) + " are possible");
  const Offset delivered = next_fresh();
  std::size_t ahead = 0;
  for (const OffsetRange& range : ranges) {
    if (range.first > range.last)
      return fail(ErrorCode::kBadArgument, describe(range) + " end before they begin");
    if (range.last >= committed_)
      return fail(ErrorCode::kOffsetOutOfRange,
                  describe(range) + "; committed is " + std::to_string(committed_));
    if (range.last > delivered) ++ahead;
    if (streams_.size() == 1) continue;  // nobody else holds anything
    for (auto* held = held_.lower(range.first); held != nullptr && held->first <= range.last;
         held = held_.lower(held->last + 1))
      if (held->value.stream != stream)
        return fail(ErrorCode::kNotYours,
                    describe(range) + ": another consumer holds " + std::to_string(held->first));
  }
  // Half of the bound, so that delivery can go on and close the gaps.
  if (kind != protocol::AnswerKind::unacknowledge && ahead > 0 &&
      answered_.range_count() + ahead > limits::kMaxAnsweredRanges / 2)
    return fail(ErrorCode::kLimitReached,
                "too many separate ranges answered ahead of delivery: answer what comes first");
  return {};
}

void SubscriptionCore::settle(Offset first, Offset last, bool skipped) {
  const std::uint64_t settled = answered_.add(first, last);
  if (settled == 0) return;
  held_.cut(first, last);
  waiting_.cut(first, last);
  history_.cut(first, last);
  if (skipped) skipped_ += settled;
  note_answered(first, last);
}

// Whatever is held in first..last waits for redelivery, and has been delivered once more.
void SubscriptionCore::give_back(Offset first, Offset last) {
  held_.cut(first, last, [&](const RangeMap<Held>::Entry& held) {
    waiting_.insert(held.first, held.last);
    scratch_.clear();
    history_.cut(held.first, held.last, [&](const auto& known) { scratch_.push_back(known); });
    Offset at = held.first;
    const auto delivered_first = [&](Offset to) {
      if (at < to) remember({at, to - 1, held.value.delivered_us, 1});
    };
    for (const auto& known : scratch_) {
      delivered_first(known.first);
      remember({known.first, known.last, known.value.first_delivered_us, known.value.count + 1});
      at = known.last + 1;
    }
    delivered_first(held.last + 1);
  });
}

void SubscriptionCore::give_back_all(StreamId stream) {
  std::vector<OffsetRange> mine;
  held_.for_each([&](const RangeMap<Held>::Entry& held) {
    if (held.value.stream == stream) mine.push_back({held.first, held.last});
  });
  for (const OffsetRange& range : mine) give_back(range.first, range.last);
}

void SubscriptionCore::end_lanes_of(StreamId stream) {
  for (Lane* lane : {&fresh_, &redelivery_})
    if (lane->stream == stream) lane->pending = false;
}

bool SubscriptionCore::attached(StreamId stream) const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [&](const Stream& s) { return s.id == stream; });
}

SubscriptionCore::Stream* SubscriptionCore::find_stream(StreamId stream) {
  const auto found = std::find_if(streams_.begin(), streams_.end(),
                                  [&](const Stream& s) { return s.id == stream; });
  return found == streams_.end() ? nullptr : &*found;
}

}  // namespace andyx::server
