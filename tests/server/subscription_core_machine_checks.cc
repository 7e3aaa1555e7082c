// Delivery in the machine, and what must hold.
#include <algorithm>

#include "server/subscription/credit.h"
#include "tests/server/subscription_core_machine.h"

namespace andyx::server {

Offset Machine::floor() const {
  Offset floor = 0;
  while (floor < end() && in_set(floor)) ++floor;
  return floor;
}

bool Machine::any(State state) const {
  return std::any_of(model_.messages.begin(), model_.messages.end(),
                     [&](const ModelMessage& m) { return m.state == state; });
}

bool Machine::any_able() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto& stream) { return stream.second.able(); });
}

void Machine::deliver() {
  if (pick(4) != 0 || wants_.empty()) {
    if (const auto want = core_.next_want()) {
      check_want(*want);
      wants_.push_back(*want);
    } else if (wants_.empty()) {
      check_idle();
    }
  }
  if (wants_.empty() || (!drains_ && pick(5) == 0)) return;  // the fetch takes a while
  const std::size_t which = pick(wants_.size());
  const auto want = wants_[which];
  wants_.erase(wants_.begin() + static_cast<std::ptrdiff_t>(which));
  if (pick(20) == 0)
    core_.fetch_failed(want);
  else
    take(want);
}

// As a shell does in one turn: it comes to an end.
void Machine::pump() {
  drop_wants();
  for (std::uint64_t i = 0; const auto want = core_.next_want(); ++i) {
    REQUIRE(i <= 2 * end());
    check_want(*want);
    take(*want);
  }
  check_idle();
}

void Machine::check_want(const SubscriptionCore::Want& want) {
  REQUIRE(any_able());
  REQUIRE(want.from < end());
  REQUIRE(want.from >= log_start_);
  for (const auto& other : wants_) REQUIRE(other.redelivery != want.redelivery);
  const State state = at(want.from).state;
  if (!want.redelivery)
    REQUIRE((state == State::kFresh || (options_.key_ordered && state == State::kLater)));
  else
    REQUIRE((state == State::kWaiting ||
             (state == State::kFresh && (options_.key_ordered || at(want.from).maybe_waiting))));
  if (options_.mode != Mode::resilient) return;
  REQUIRE(wants_.empty());
  for (const State blocks : {State::kHeld, State::kLater, State::kDead, State::kRound})
    REQUIRE_FALSE(any(blocks));
}

// No standstill: with a stream that can take something, there is nothing that may be delivered.
void Machine::check_idle() {
  REQUIRE_FALSE(core_.blocked().empty());
  if (!any_able()) return;
  if (options_.mode == Mode::resilient) {
    for (const State blocks : {State::kHeld, State::kLater, State::kDead, State::kRound})
      if (any(blocks)) return;
  }
  if (options_.key_ordered) return check_idle_keyed();
  for (const ModelMessage& m : model_.messages)
    if (dead_candidate(m) && !core_.stats().dead_waiting) FAIL("a dead message is not found");
  if (options_.mode == Mode::resilient && core_.stats().dead_waiting > 0) return;
  for (const ModelMessage& m : model_.messages)
    if (!dead_candidate(m)) REQUIRE((m.state != State::kFresh && m.state != State::kWaiting));
}

void Machine::check_idle_keyed() {
  const bool all_able = std::all_of(streams_.begin(), streams_.end(), [](const auto& stream) {
    return !stream.second.live() || stream.second.able();
  });
  std::map<std::uint32_t, StreamId> holders;
  for (Offset o = 0; o < end(); ++o)
    if (at(o).state == State::kHeld) holders[keys_[o]] = at(o).holder;
  std::set<std::uint32_t> seen;  // keys with an earlier one that waits
  std::uint64_t fresh = 0;
  for (Offset o = 0; o < end(); ++o) {
    const ModelMessage& m = at(o);
    const std::uint32_t key = keys_[o];
    const auto key_is_able = [&] {
      return holders.contains(key) ? streams_.at(holders[key]).able() : all_able;
    };
    if (dead_candidate(m)) {  // found when its key's turn comes
      if (!seen.contains(key) && key_is_able()) REQUIRE(core_.stats().dead_waiting > 0);
      continue;
    }
    fresh += m.state == State::kFresh && !m.maybe_waiting;
    if (m.state != State::kFresh && m.state != State::kWaiting && m.state != State::kLater)
      continue;
    if (key == 0) REQUIRE(m.state == State::kLater);
    if (!seen.insert(key).second || m.state == State::kLater) continue;
    REQUIRE_FALSE(key_is_able());
  }
  REQUIRE(fresh <= core_.stats().set_aside);
}

void Machine::take(const SubscriptionCore::Want& want) {
  const auto& batch = std::prev(batches_.upper_bound(want.from))->second.batch;
  std::map<StreamId, std::uint64_t> allowed, messages;
  for (const auto& [id, stream] : streams_) {
    if (!stream.able()) continue;
    const auto by_bytes = static_cast<std::uint64_t>(stream.bytes) * batch.count / batch.size_bytes;
    allowed[id] = std::min(stream.messages, std::max<std::uint64_t>(1, by_bytes));
  }
  Delivered out;
  const auto taken = core_.take(want, batch, now_, out);
  std::uint64_t all = 0, redeliveries = 0;
  std::map<StreamId, Offset> next;
  std::vector<std::pair<Offset, const SubscriptionCore::DeliveredRange*>> each;
  for (const auto& range : out) {
    REQUIRE(range.first >= next[range.stream]);  // ascending for each stream
    next[range.stream] = range.last + 1;
    REQUIRE(range.first >= batch.base_offset);
    REQUIRE(range.last < batch.base_offset + batch.count);
    for (Offset o = range.first; o <= range.last; ++o) each.emplace_back(o, &range);
  }
  std::sort(each.begin(), each.end());
  for (const auto& [offset, range] : each) {
    check_delivered(want, *range, offset);
    ModelMessage& m = at(offset);
    const ModelStream& stream = streams_.at(range->stream);
    m.state = State::kHeld;
    m.holder = range->stream;
    m.maybe_waiting = false;
    m.delivered_us = now_.wall_us;
    m.deadline_us = stream.ack_timeout_us == 0
                        ? 0
                        : now_.steady_us + static_cast<TimeUs>(stream.ack_timeout_us);
    ++messages[range->stream];
    ++all;
    redeliveries += m.count > 0;
  }
  REQUIRE(taken.messages == all);
  REQUIRE(taken.redeliveries == redeliveries);
  if (options_.mode == Mode::resilient) REQUIRE(all <= 1);
  for (const auto& [id, count] : messages) {
    REQUIRE(count <= allowed[id]);
    streams_[id].messages -= count;
    streams_[id].bytes -=
        static_cast<std::int64_t>(credit_charge(batch.size_bytes, batch.count, count));
  }
  if (!want.redelivery) note_passed(batch);
  delivered += all;
  redelivered += redeliveries;
}

void Machine::check_delivered(const SubscriptionCore::Want& want,
                              const SubscriptionCore::DeliveredRange& range, Offset offset) {
  const ModelMessage& m = at(offset);
  CAPTURE(offset);
  REQUIRE(streams_.contains(range.stream));
  const ModelStream& stream = streams_.at(range.stream);
  REQUIRE(stream.live());
  REQUIRE_FALSE(stream.paused);
  if (!want.redelivery)
    REQUIRE(m.state == State::kFresh);
  else
    REQUIRE((m.state == State::kWaiting ||
             (m.state == State::kFresh && (options_.key_ordered || m.maybe_waiting))));
  REQUIRE(range.delivered_before == m.count);
  REQUIRE(range.first_delivered_us == m.first_us);
  if (stream.max_deliveries > 0) REQUIRE(m.count < stream.max_deliveries);
  REQUIRE(deliver_at_[offset] <= std::max(latest_wall_us_, now_.wall_us));  // never early
  if (deliver_at_[offset] != 0) REQUIRE(due_key(offset) <= core_.due_cursor());
  if (options_.key_ordered) check_key_order(range, offset);
  if (options_.mode == Mode::resilient) check_resilient(want, offset);
}

// One consumer at a time has a key; nothing of it passes one that waits. What matured has no place
// in the order.
void Machine::check_key_order(const SubscriptionCore::DeliveredRange& range, Offset offset) {
  const std::uint32_t key = keys_[offset];
  if (key == 0) return;
  for (Offset o = 0; o < end(); ++o) {
    const ModelMessage& other = at(o);
    if (o == offset || keys_[o] != key) continue;
    if (other.state == State::kHeld) REQUIRE(other.holder == range.stream);
    if (o > offset || other.matured || dead_candidate(other)) continue;
    REQUIRE(other.state != State::kWaiting);
    // The key of one that waits since a restart is known once fresh delivery has come to it.
    REQUIRE((other.state != State::kLater || (at(offset).matured && other.maybe_waiting)));
    if (at(offset).matured || other.state != State::kFresh) continue;
    REQUIRE(deliver_at_[o] != 0);  // passed by this take
    REQUIRE(due_key(o) > core_.due_cursor());
  }
}

void Machine::check_resilient(const SubscriptionCore::Want& want, Offset offset) {
  for (const State blocks : {State::kHeld, State::kLater, State::kDead, State::kRound})
    REQUIRE_FALSE(any(blocks));
  if (at(offset).matured) return;
  for (Offset o = 0; o < offset; ++o) {
    const ModelMessage& other = at(o);
    if (other.matured || dead_candidate(other)) continue;
    REQUIRE(other.state != State::kWaiting);
    if (other.state != State::kFresh || want.redelivery) continue;
    REQUIRE(deliver_at_[o] != 0);  // passed by this take
    REQUIRE(due_key(o) > core_.due_cursor());
  }
}

// Fresh delivery may pass what the due index still has to bring, and nothing else.
void Machine::note_passed(const SubscriptionCore::Batch& batch) {
  if (!batch.delayed) return;
  const CursorChange state = core_.state();
  for (Offset o = batch.base_offset; o < batch.base_offset + batch.count; ++o) {
    ModelMessage& m = at(o);
    if (!unanswered(o) || m.matured) continue;
    const bool passed =
        o < state.floor || std::any_of(
                               state.answered.begin(), state.answered.end(),
                               [&](const OffsetRange& r) { return r.first <= o && o <= r.last; });
    if (!passed || m.state == State::kRound) continue;
    REQUIRE(m.state == State::kFresh);
    REQUIRE(deliver_at_[o] != 0);
    REQUIRE(due_key(o) > core_.due_cursor());
    m = {.state = State::kPassed, .passed = true};
    ++model_.delayed;
  }
}

void Machine::check_stats() {
  SubscriptionCore::Stats expected{.floor = floor(), .committed = end(), .skipped = model_.skipped};
  std::uint64_t candidates = 0, maybe_waiting = 0, waiting_candidates = 0;
  Offset oldest = end();
  for (Offset o = 0; o < end(); ++o) {
    const ModelMessage& m = at(o);
    expected.answered_above_floor += o > expected.floor && in_set(o);
    if (!unanswered(o)) continue;
    oldest = std::min(oldest, o);
    ++expected.lag;
    expected.in_flight += m.state == State::kHeld;
    expected.waiting_redelivery += m.state == State::kWaiting || m.state == State::kLater;
    expected.dead_waiting += m.state == State::kDead;
    maybe_waiting += m.state == State::kFresh && m.maybe_waiting;
    candidates += dead_candidate(m);
    waiting_candidates += dead_candidate(m) && m.state == State::kWaiting;
  }
  expected.dead_waiting += model_.round.size();
  const auto stats = core_.stats();
  REQUIRE(stats.floor == expected.floor);
  REQUIRE(stats.committed == expected.committed);
  REQUIRE(stats.answered_above_floor == expected.answered_above_floor);
  REQUIRE(stats.in_flight == expected.in_flight);
  REQUIRE(stats.waiting_redelivery <= expected.waiting_redelivery + maybe_waiting);
  REQUIRE(stats.waiting_redelivery + waiting_candidates >= expected.waiting_redelivery);
  REQUIRE(stats.dead_waiting >= expected.dead_waiting);
  REQUIRE(stats.dead_waiting <= expected.dead_waiting + candidates);
  REQUIRE(stats.set_aside <= limits::kMaxKeyLookAhead);
  REQUIRE(stats.lag == expected.lag);
  REQUIRE(stats.skipped == expected.skipped);
  REQUIRE(stats.dead_lettered == model_.dead_lettered);
  if (model_.delayed_exact) REQUIRE(stats.delayed == model_.delayed);
  REQUIRE(core_.oldest_unanswered() == oldest);
  std::uint64_t messages = 0, bytes = 0;
  for (const auto& [id, stream] : streams_) {
    messages += stream.messages;
    bytes += static_cast<std::uint64_t>(std::max<std::int64_t>(stream.bytes, 0));
  }
  REQUIRE(stats.credit_messages == messages);
  REQUIRE(stats.credit_bytes == bytes);
  REQUIRE(core_.streams() == streams_.size());
  for (const ModelMessage& m : model_.messages) {
    if (m.state == State::kHeld && m.deadline_us > 0)
      REQUIRE(core_.next_deadline_us().value_or(kNoDeadline) <= m.deadline_us);
    if (m.state == State::kLater)
      REQUIRE(core_.next_deadline_us().value_or(kNoDeadline) <= m.due_steady_us);
  }
}

void Machine::drain() {
  drains_ = true;
  const StreamOptions with = options(std::max(epoch_, retired_ + revoked_) + 1,
                                     limits::kMaxCreditBytes, limits::kMaxCreditMessages);
  const auto attached = core_.attach(50, with, now_);
  REQUIRE(attached.has_value());
  for (const StreamId other : attached->ended) {
    give_back_all(other);
    streams_.erase(other);
  }
  epoch_ = with.attach_epoch;
  streams_[50] = {.epoch = epoch_,
                  .bytes = static_cast<std::int64_t>(with.credit_bytes),
                  .messages = with.credit_messages};
  for (int round = 0; round < 10'000 && core_.stats().lag + core_.stats().delayed > 0; ++round) {
    for (int i = 0; i < 10; ++i) deliver();
    for (Offset o = 0; o < end(); ++o)
      if (at(o).state == State::kHeld) answer(Kind::acknowledge, 50, {{o, o}}, 0);
    pass_time();
    now_.wall_us = std::max(now_.wall_us, latest_wall_us_) + 1'000;
    mature();
    dead_round();
    write_change(true);
    check_stats();
    if (floor() == end() &&
        due_index_.upper_bound({core_.due_cursor().at_us, kNoOffset}) == due_index_.end() &&
        core_.stats().lag == 0)
      break;
  }
  REQUIRE(floor() == end());
  REQUIRE(core_.stats().lag == 0);
  REQUIRE(core_.oldest_unanswered() == end());
  for (Offset o = 0; o < end(); ++o) REQUIRE_FALSE(unanswered(o));
}

}  // namespace andyx::server
