// Answers of consumers, and what comes back unanswered.
#include <algorithm>
#include <cassert>
#include <string>

#include "server/subscription/subscription_core_parts.h"
#include "subscription_generated.h"

namespace andyx::server {

using protocol::AnswerKind;

namespace {

constexpr std::uint64_t kMaxDelayUs = limits::kMaxRedeliveryDelayMs * 1'000;

std::string describe(const OffsetRange& range) {
  return "offsets " + std::to_string(range.first) + ".." + std::to_string(range.last);
}

bool settles(AnswerKind kind) {
  return kind == AnswerKind::acknowledge || kind == AnswerKind::skip;
}

}  // namespace

Status SubscriptionCore::answer(StreamId stream, AnswerKind kind,
                                std::span<const OffsetRange> ranges, std::uint64_t delay_us,
                                Now now) {
  if (auto fits = check_answer(stream, kind, ranges, delay_us); !fits) return fits;
  Stream& from = *find_stream(stream);
  if (from.retired && !settles(kind)) return {};
  for (const OffsetRange& range : ranges) {
    if (settles(kind))
      settle(range.first, range.last, kind == AnswerKind::skip);
    else if (kind == AnswerKind::unacknowledge)
      give_back(range.first, range.last, 0, delay_us, now);
    else
      extend(from, range.first, range.last, now);
  }
  return {};
}

Status SubscriptionCore::check_answer(StreamId stream, AnswerKind kind,
                                      std::span<const OffsetRange> ranges,
                                      std::uint64_t delay_us) const {
  const Stream* from = const_cast<SubscriptionCore*>(this)->find_stream(stream);
  if (from == nullptr)
    return fail(ErrorCode::kUnknownStream, "answer of a stream that is not attached");
  if (ranges.size() > limits::kMaxRangesPerAnswer)
    return fail(ErrorCode::kBadArgument,
                std::to_string(ranges.size()) + " ranges in one answer; at most " +
                    std::to_string(limits::kMaxRangesPerAnswer) + " are possible");
  if (delay_us > kMaxDelayUs)
    return fail(ErrorCode::kBadArgument,
                "a delay of " + std::to_string(delay_us / 1'000) + " ms; at most " +
                    std::to_string(limits::kMaxRedeliveryDelayMs) + " ms are possible");
  const Offset delivered = next_fresh();
  const bool others_hold = held_.offsets() > from->held;
  std::size_t ahead = 0;
  for (const OffsetRange& range : ranges) {
    if (range.first > range.last)
      return fail(ErrorCode::kBadArgument, describe(range) + " end before they begin");
    if (range.last >= committed_)
      return fail(ErrorCode::kOffsetOutOfRange,
                  describe(range) + "; committed is " + std::to_string(committed_));
    if (range.last > delivered) ++ahead;
    // Late: what a retired stream gives back or extends is no longer its own.
    if (!others_hold || (from->retired && !settles(kind))) continue;
    for (auto* held = held_.lower(range.first); held != nullptr && held->first <= range.last;
         held = held_.lower(held->last + 1))
      if (held->value.stream != stream)
        return fail(ErrorCode::kNotYours,
                    describe(range) + ": another consumer holds " + std::to_string(held->first));
  }
  // Half of the bound, so that delivery can go on and close the gaps.
  if (settles(kind) && ahead > 0 &&
      answered_.range_count() + ahead > limits::kMaxAnsweredRanges / 2)
    return fail(ErrorCode::kLimitReached,
                "too many separate ranges answered ahead of delivery: answer what comes first");
  return {};
}

// All but what is on its way to the dead-letter topic: that has its answer.
void SubscriptionCore::settle(Offset first, Offset last, bool skipped) {
  if (rare_ && !rare_->round.empty()) {
    for (auto* round = rare_->round.lower(first); round != nullptr && round->first <= last;
         round = rare_->round.lower(first)) {
      const OffsetRange hole{round->first, round->last};
      if (first < hole.first) settle_all(first, hole.first - 1, skipped);
      if (hole.last >= last) return;
      first = hole.last + 1;
    }
  }
  settle_all(first, last, skipped);
}

void SubscriptionCore::settle_all(Offset first, Offset last, bool skipped) {
  std::uint64_t settled = answered_.add(first, last);
  const bool above = settled > 0;
  if (rare_) settled += settle_matured(first, last);
  if (settled == 0) return;
  drop(first, last);
  history_.cut(first, last);
  if (skipped) skipped_ += settled;
  changed_ = true;
  if (above) note_answered(first, last);
}

std::uint64_t SubscriptionCore::settle_matured(Offset first, Offset last) {
  const std::uint64_t before = rare_->matured.offsets();
  rare_->matured.cut(first, last, [&](const auto& piece) {
    if (!whole_state_) rare_->noted_settled.push_back({piece.first, piece.last});
  });
  rare_->maturing.cut(first, last);
  bound_notes();
  return before - rare_->matured.offsets();
}

// Takes first..last out of delivery, wherever they are.
void SubscriptionCore::drop(Offset first, Offset last) {
  const auto forget = [&](const auto& piece) {
    if (!keys_) return;
    for (Offset offset = piece.first; offset <= piece.last; ++offset) keys_->forget(offset);
  };
  held_.cut(first, last, [&](const RangeMap<Held>::Entry& piece) {
    find_stream(piece.value.stream)->held -= piece.last - piece.first + 1;
    forget(piece);
  });
  waiting_.cut(first, last, forget);
  if (rare_) {
    rare_->later.cut(first, last, forget);
    rare_->dead.cut(first, last);
  }
  if (!keys_) return;
  while (const auto* parked = keys_->parked().lower(first)) {
    if (parked->first > last) break;
    forget(OffsetRange{std::max(parked->first, first), std::min(parked->last, last)});
  }
}

// Whatever is held in first..last has been delivered once more, and waits for redelivery.
void SubscriptionCore::give_back(Offset first, Offset last, StreamId avoid, std::uint64_t delay_us,
                                 Now now) {
  const TimeUs delay = static_cast<TimeUs>(delay_us);
  const TimeUs due_us = delay == 0 ? 0 : now.steady_us + delay;
  const TimeUs due_wall_us = delay == 0 ? 0 : now.wall_us + delay;
  std::vector<RangeMap<History>::Entry> before;
  held_.cut(first, last, [&](const RangeMap<Held>::Entry& held) {
    Stream& from = *find_stream(held.value.stream);
    from.held -= held.last - held.first + 1;
    before.clear();
    history_.cut(held.first, held.last, [&](const auto& known) { before.push_back(known); });
    Offset at = held.first;
    const auto back = [&](Offset to, std::uint32_t count, TimeUs first_delivered_us) {
      if (at >= to) return;
      give_back_piece({at, to - 1, first_delivered_us, count, due_wall_us}, from, avoid, due_us);
      at = to;
    };
    for (const auto& known : before) {
      back(known.first, 1, held.value.delivered_us);
      back(known.last + 1, known.value.count + 1, known.value.first_delivered_us);
    }
    back(held.last + 1, 1, held.value.delivered_us);
  });
}

void SubscriptionCore::give_back_piece(const RedeliveryRange& piece, const Stream& from,
                                       StreamId avoid, TimeUs due_us) {
  history_.insert(piece.first, piece.last, {piece.count, piece.first_delivered_us, piece.due_us});
  note_redelivery(piece);
  const bool dead = from.max_deliveries > 0 && piece.count >= from.max_deliveries;
  if (dead)
    make_rare().dead.insert(piece.first, piece.last);
  else if (due_us > 0)
    make_rare().later.insert(piece.first, piece.last, {due_us});
  else
    waiting_.insert(piece.first, piece.last, {avoid});
  if (!dead && due_us > 0) expire(due_us);
  if (!keys_) return;
  for (Offset offset = piece.first; offset <= piece.last; ++offset) {
    if (dead)
      keys_->forget(offset);
    else
      keys_->pend(offset, due_us == 0);
  }
}

void SubscriptionCore::give_back_all(Stream& stream, Now now) {
  if (stream.held == 0) return;
  std::vector<OffsetRange> mine;
  held_.for_each([&](const RangeMap<Held>::Entry& held) {
    if (held.value.stream == stream.id) mine.push_back({held.first, held.last});
  });
  for (const OffsetRange& range : mine) give_back(range.first, range.last, 0, 0, now);
  assert(stream.held == 0);
  if (type_ == protocol::SubscriptionType::shared) return;
  catch_up_ = waiting_.offsets();
  redelivery_from_ = 0;
}

void SubscriptionCore::extend(Stream& stream, Offset first, Offset last, Now now) {
  if (stream.ack_timeout_us == 0 || stream.held == 0) return;
  const TimeUs deadline_us = now.steady_us + static_cast<TimeUs>(stream.ack_timeout_us);
  std::vector<RangeMap<Held>::Entry> mine;
  for (auto* held = held_.lower(first); held != nullptr && held->first <= last;
       held = held_.lower(held->last + 1))
    if (held->value.stream == stream.id) mine.push_back(*held);
  for (const auto& held : mine) {
    const Offset from = std::max(held.first, first), to = std::min(held.last, last);
    held_.cut(from, to);
    held_.insert(from, to, {stream.id, held.value.delivered_us, deadline_us});
  }
  expire(deadline_us);
}

void SubscriptionCore::expire(TimeUs deadline_us) {
  deadline_us_ = std::min(deadline_us_, deadline_us);
}

}  // namespace andyx::server
