// What is delivered next, to whom, and how much of it. See subscription_core_keyed.cc for those
// ordered by key.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "protocol/batch/batch_reader.h"
#include "server/subscription/credit.h"
#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

namespace {

// Fresh messages that may pass for each redelivered one while redeliveries wait.
constexpr std::int64_t kFreshPerRedelivery = 4;
// A batch is divided by what is left of it; when that is in very many pieces, by an estimate.
constexpr int kMaxPiecesCounted = 64;

}  // namespace

// Passes over what waits here since a restart; but keys of it have to be read.
Offset SubscriptionCore::next_fresh() const {
  Offset at = answered_.next_missing(next_);
  if (!rare_) return at;
  const auto skip = [&](const auto& map) {
    const auto* entry = map.lower(at);
    if (entry == nullptr || entry->first > at) return false;
    at = answered_.next_missing(entry->last + 1);
    return true;
  };
  while (skip(rare_->round) || (!keys_ && skip(rare_->later))) {
  }
  return at;
}

std::uint64_t SubscriptionCore::unanswered() const {
  std::uint64_t messages = held_.offsets() + waiting_.offsets();
  if (rare_)
    messages += rare_->later.offsets() + rare_->dead.offsets() + rare_->round.offsets() +
                rare_->maturing.offsets();
  if (keys_) messages += keys_->parked().offsets();
  return messages;
}

// How many fresh messages may be delivered. Were all unanswered ones answered in the worst order,
// at most every second would leave a range; so the answered set stays within its bound whatever
// comes.
std::uint64_t SubscriptionCore::window() const {
  const std::uint64_t open = unanswered();
  const std::uint64_t ranges = answered_.range_count();
  const std::uint64_t room =
      ranges < limits::kMaxAnsweredRanges ? 2 * (limits::kMaxAnsweredRanges - ranges) : 0;
  if (room > open) return room - open;
  return open == 0 ? 1 : 0;  // the one at the floor never adds a range
}

// Resilient: one message at a time, and nothing passes one that is not answered.
bool SubscriptionCore::in_order_blocked() const {
  if (!resilient()) return false;
  return !held_.empty() || !rare().later.empty() || !rare().dead.empty() || !rare().round.empty();
}

bool SubscriptionCore::catching_up() const { return catch_up_ > 0 && !waiting_.empty(); }

bool SubscriptionCore::may_fetch_fresh() const {
  if (catching_up()) return false;
  if (fresh_.pending || next_fresh() >= committed_ || in_order_blocked()) return false;
  if (window() < 2 && unanswered() > 0) return false;  // passing one needs a range
  if (keys_ && keys_->parked().offsets() >= limits::kMaxKeyLookAhead) return false;
  return !resilient() || (waiting_.empty() && !redelivery_.pending);
}

std::optional<Offset> SubscriptionCore::next_redelivery() const {
  if (redelivery_.pending || in_order_blocked()) return std::nullopt;
  if (keys_) return next_redelivery_keyed();
  if (waiting_.empty()) return std::nullopt;
  if (resilient()) {
    if (fresh_.pending) return std::nullopt;
    // What was delivered already goes before what has matured.
    for (const auto* known = history_.lower(0); known != nullptr;
         known = history_.lower(known->last + 1)) {
      const auto* waiting = waiting_.lower(known->first);
      if (waiting == nullptr) break;
      if (waiting->first <= known->last) return std::max(waiting->first, known->first);
    }
    return waiting_.lower(0)->first;
  }
  const auto* next = waiting_.lower(redelivery_from_);
  return next == nullptr ? waiting_.lower(0)->first : std::max(next->first, redelivery_from_);
}

bool SubscriptionCore::share_is_due(Offset redelivery, bool fresh) const {
  if (!fresh || redelivery_owed_ >= kFreshPerRedelivery) return true;
  return keys_ && keys_->parked().contains(redelivery);  // not delivered before: it was first
}

std::optional<SubscriptionCore::Want> SubscriptionCore::next_want() {
  if (able_ == 0) return std::nullopt;
  if (waiting_.empty()) catch_up_ = 0;
  const bool fresh = may_fetch_fresh();
  const auto redelivery = next_redelivery();
  if (!fresh && !redelivery) return std::nullopt;
  const bool redeliver = redelivery && share_is_due(*redelivery, fresh);
  Lane& lane = redeliver ? redelivery_ : fresh_;
  lane = {.pending = true, .ticket = next_ticket_++};
  return Want{.from = redeliver ? *redelivery : next_fresh(),
              .redelivery = redeliver,
              .ticket = lane.ticket};
}

void SubscriptionCore::fetch_failed(const Want& want) {
  Lane& lane = want.redelivery ? redelivery_ : fresh_;
  if (lane.ticket == want.ticket) lane.pending = false;
}

// What the stream may still get in this take.
std::uint64_t SubscriptionCore::room(Stream& stream, const Take& take) const {
  if (stream.take != take.id) {
    stream.take = take.id;
    stream.taken = stream.allowed = 0;
    if (!stream.able()) return 0;
    const auto by_bytes =
        static_cast<std::uint64_t>(stream.credit_bytes) * take.batch.count / take.batch.size_bytes;
    stream.allowed = std::min(stream.credit_messages, std::max<std::uint64_t>(by_bytes, 1));
  }
  return stream.allowed - stream.taken;
}

// Round robin; `avoid` only when nobody else has room.
SubscriptionCore::Stream* SubscriptionCore::next_stream(const Take& take, StreamId avoid) {
  if (able_ == 0) return nullptr;
  Stream* last_choice = nullptr;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    turn_ = (turn_ + 1) % streams_.size();
    Stream& stream = streams_[turn_];
    if (room(stream, take) == 0) continue;
    if (stream.id != avoid) return &stream;
    last_choice = &stream;
  }
  return last_choice;
}

SubscriptionCore::Taken SubscriptionCore::take(const Want& want, const Batch& batch, Now now,
                                               std::vector<DeliveredRange>& out) {
  Lane& lane = want.redelivery ? redelivery_ : fresh_;
  if (!lane.pending || lane.ticket != want.ticket) return {};
  lane.pending = false;
  assert(batch.count > 0 && batch.size_bytes > 0);
  assert(batch.base_offset <= want.from && want.from - batch.base_offset < batch.count);
  if (able_ == 0 || in_order_blocked() || (!want.redelivery && catching_up())) return {};
  Take take{
      .batch = batch, .now = now, .id = next_ticket_++, .out = out, .first_range = out.size()};
  if (want.redelivery)
    keys_ ? take_waiting_keyed(want.from, take) : take_waiting(want.from, take);
  else if (next_fresh() >= batch.base_offset)  // what was due later may lie before it
    keys_ ? take_fresh_keyed(take) : take_fresh(take);
  share(want.redelivery, static_cast<std::int64_t>(take.taken.messages));
  return take.taken;
}

// What a lane got while the other one had work, too. One large redelivery is paid back at most
// once, and nothing is owed for what was redelivered while there was nothing else to do.
void SubscriptionCore::share(bool redelivery, std::int64_t messages) {
  if (redelivery) catch_up_ -= std::min(catch_up_, static_cast<std::uint64_t>(messages));
  if (waiting_.empty() || next_fresh() >= committed_)
    redelivery_owed_ = 0;
  else if (redelivery)
    redelivery_owed_ = std::max(redelivery_owed_, std::int64_t{0}) - kFreshPerRedelivery * messages;
  else
    redelivery_owed_ += messages;
}

// Of the due index this subscription has read no more than its cursor: what is behind will come.
bool SubscriptionCore::due(const Take& take, Offset offset) const {
  if (!take.batch.delayed || take.batch.bytes.empty()) return true;
  const auto index = static_cast<std::uint32_t>(offset - take.batch.base_offset);
  const TimeUs at_us = batch::deliver_at_us(take.batch.bytes, index);
  TimeUs append_time_us = 0;  // what was due when it was appended is not in the index
  std::memcpy(&append_time_us, take.batch.bytes.data() + batch::at::kAppendTime,
              sizeof append_time_us);
  return at_us <= append_time_us || DueKey{at_us, offset} <= due_cursor_;
}

// False: the answered set has no room for it.
bool SubscriptionCore::pass(Offset first, Offset last) {
  const bool joins = first == answered_.floor() || answered_.contains(first - 1);
  if (!joins && window() < 2) return false;
  answered_.add(first, last);
  history_.cut(first, last);
  make_rare().delayed += last - first + 1;
  note_answered(first, last);
  return true;
}

// Evenly, in contiguous chunks; who gets one more than the others changes from batch to batch.
void SubscriptionCore::take_fresh(Take& take) {
  const Offset end = std::min(take.end(), committed_);
  next_ = next_fresh();
  if (next_ >= end) return;
  std::uint64_t messages = end - next_;
  int pieces = 0;
  for (auto known = answered_.next_range(next_);
       known && known->first < end && pieces < kMaxPiecesCounted;
       known = answered_.next_range(known->last + 1), ++pieces)
    messages -= std::min(known->last + 1, end) - known->first;
  if (resilient()) messages = 1;
  const std::uint64_t share = messages / able_, more = messages % able_;
  const std::size_t visits = share > 0 ? able_ : more;
  std::size_t turn = turn_;
  for (std::uint64_t i = 0; i < visits && next_ < end && !take.full(); ++i) {
    Stream* stream = next_stream(take, 0);
    if (stream == nullptr) break;
    const std::uint64_t quota = std::min(share + (i < more), room(*stream, take));
    if (i < more) turn = turn_;
    take_fresh_for(*stream, quota, end, take);
  }
  turn_ = turn;
}

void SubscriptionCore::take_fresh_for(Stream& stream, std::uint64_t quota, Offset end, Take& take) {
  while (quota > 0 && next_ < end && !take.full()) {
    const std::uint64_t allowed = std::min(quota, window());
    if (allowed == 0) return;
    Offset last = std::min(end - 1, next_ + allowed - 1);
    if (const auto known = answered_.next_range(next_)) last = std::min(last, known->first - 1);
    if (rare_) {
      if (const auto* round = rare_->round.lower(next_)) last = std::min(last, round->first - 1);
      if (const auto* later = rare_->later.lower(next_)) last = std::min(last, later->first - 1);
    }
    if (take.batch.delayed) {
      const bool first_due = due(take, next_);
      Offset to = next_ + 1;
      while (to <= last && due(take, to) == first_due) ++to;
      last = to - 1;
      if (!first_due) {
        if (!pass(next_, last)) return;
        next_ = std::min(next_fresh(), committed_);
        continue;
      }
    }
    const std::uint64_t before = take.taken.messages;
    next_ = emit(next_, last, stream, take);
    next_ = std::min(next_fresh(), committed_);
    quota -= take.taken.messages - before;
  }
}

void SubscriptionCore::take_waiting(Offset from, Take& take) {
  if (resilient() && (waiting_.empty() || !waiting_.contains(from))) return;
  std::uint64_t messages = 0;
  int pieces = 0;
  for (auto* waiting = waiting_.lower(from);
       waiting != nullptr && waiting->first < take.end() && pieces < kMaxPiecesCounted;
       waiting = waiting_.lower(waiting->last + 1), ++pieces)
    messages += std::min(waiting->last + 1, take.end()) - std::max(waiting->first, from);
  std::uint64_t chunk = (messages + able_ - 1) / able_;
  if (resilient()) chunk = 1;
  redelivery_from_ = from;
  while (!take.full()) {
    const auto* waiting = waiting_.lower(redelivery_from_);
    if (waiting == nullptr || waiting->first >= take.end()) break;
    Stream* stream = next_stream(take, waiting->value.avoid);
    if (stream == nullptr) break;
    const Offset first = std::max(waiting->first, redelivery_from_);
    const std::uint64_t allowed = std::min(chunk, room(*stream, take));
    const Offset last = std::min({waiting->last, take.end() - 1, first + allowed - 1});
    redelivery_from_ = emit(first, last, *stream, take);
    waiting_.cut(first, redelivery_from_ - 1);
    if (resilient()) break;
  }
}

// Puts first..last in flight, in pieces of equal history, until the take is full; or among the dead
// what was delivered too often. Returns the offset behind what was put.
Offset SubscriptionCore::emit(Offset first, Offset last, Stream& stream, Take& take) {
  const TimeUs deadline_us = stream.ack_timeout_us == 0
                                 ? 0
                                 : take.now.steady_us + static_cast<TimeUs>(stream.ack_timeout_us);
  const auto charge = [&] {
    return static_cast<std::int64_t>(
        credit_charge(take.batch.size_bytes, take.batch.count, stream.taken));
  };
  if (deadline_us > 0) expire(deadline_us);
  Offset at = first;
  while (at <= last && !take.full()) {
    const auto* known = history_.lower(at);
    DeliveredRange piece{.stream = stream.id, .first = at, .last = last};
    if (known != nullptr && known->first > at) {
      piece.last = std::min(last, known->first - 1);
    } else if (known != nullptr) {
      if (stream.max_deliveries > 0 && known->value.count >= stream.max_deliveries) {
        const Offset to = std::min(last, known->last);
        make_rare().dead.insert(at, to);
        at = to + 1;
        continue;
      }
      const std::uint64_t room = kMaxRedeliveriesPerTake - take.taken.redeliveries;
      piece.last = std::min({last, known->last, at + room - 1});
      piece.delivered_before = known->value.count;
      piece.first_delivered_us = known->value.first_delivered_us;
      take.taken.redeliveries += piece.last - piece.first + 1;
    }
    const std::uint64_t messages = piece.last - piece.first + 1;
    take.taken.messages += messages;
    take.out.push_back(piece);
    held_.insert(piece.first, piece.last, {stream.id, take.now.wall_us, deadline_us});
    stream.held += messages;
    change_stream(stream, [&] {
      stream.credit_bytes += charge();
      stream.taken += messages;
      stream.credit_bytes -= charge();
      stream.credit_messages -= messages;
    });
    at = piece.last + 1;
  }
  return at;
}

}  // namespace andyx::server
