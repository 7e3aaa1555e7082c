#include "tests/server/subscription_core_machine.h"

#include <algorithm>
#include <cstring>

#include "protocol/batch/batch_format.h"

namespace andyx::server {

Machine::Machine(const MachineOptions& options, std::uint64_t seed)
    : options_(options),
      random_(seed),
      core_(kId, options.type, options.mode, options.key_ordered) {
  append();
  const Offset start = pick(end());
  for (Offset o = 0; o < start; ++o) at(o).state = State::kAnswered;
  model_.start = start;
  core_.create(start);
  core_.open(0, end(), now_);
  write_change(false);
}

void Machine::step() {
  ++now_.steady_us;
  const std::uint64_t event = pick(41);
  if (event < 2) {
    append();
    core_.committed(end());
  } else if (event < 4) {
    attach();
  } else if (event < 5) {
    detach();
  } else if (event < 8) {
    credit();
  } else if (event < 9) {
    pause();
  } else if (event < 13) {
    answer_some(Kind::acknowledge);
  } else if (event < 14) {
    answer_some(Kind::skip);
  } else if (event < 17) {
    answer_some(Kind::unacknowledge);
  } else if (event < 18) {
    answer_some(Kind::extend);
  } else if (event < 20) {
    acknowledge_from_floor();
  } else if (event < 21) {
    if (pick(10) == 0) revoke_or_retire();
    if (pick(10) == 0) end_retired();
  } else if (event < 22) {
    if (pick(20) == 0) advance_start();
    if (pick(60) == 0) reset();
  } else if (event < 24) {
    write_change(true);
  } else if (event < 25) {
    if (pick(12) == 0) crash();
  } else if (event < 28) {
    pass_time();
  } else if (event < 29) {
    mature();
  } else if (event < 30) {
    dead_round();
  } else if (event < 31) {
    if (pick(4) == 0) pump();
  } else {
    deliver();
  }
  check_stats();
}

void Machine::append() {
  if (end() > floor() + 300) return;  // the consumers are far behind
  const std::uint32_t count = 1 + static_cast<std::uint32_t>(pick(20));
  const bool delayed = options_.delays && pick(3) == 0;
  LogBatch added{.batch = {end(), count, 90 + static_cast<std::uint32_t>(pick(2'000))},
                 .bytes = {}};
  const bool keyless = pick(3) == 0;
  const auto flags = static_cast<std::uint8_t>((delayed ? batch::kFlagDeliverAt : 0) |
                                               (keyless ? batch::kFlagNoKeys : 0));
  const std::size_t entry_bytes = batch::entry_bytes(flags);
  added.bytes.resize(batch::kHeaderBytes + count * batch::table_bytes_each(flags));
  added.bytes[batch::at::kFlags] = flags;
  std::memcpy(&added.bytes[batch::at::kCount], &count, sizeof count);
  added.batch.delayed = delayed;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto key = static_cast<std::uint32_t>(keyless ? 0 : pick(12));
    const TimeUs at_us =
        delayed && pick(2) == 0 ? now_.wall_us + static_cast<TimeUs>(pick(20'000)) - 2'000 : 0;
    const std::size_t entry = batch::kHeaderBytes + i * entry_bytes;
    if (!keyless) std::memcpy(&added.bytes[entry + 4], &key, 4);
    const std::size_t times = batch::kHeaderBytes + count * entry_bytes;
    if (delayed) std::memcpy(&added.bytes[times + i * 8], &at_us, 8);
    if (at_us != 0) due_index_.insert({at_us, end() + i});
    keys_.push_back(key);
    deliver_at_.push_back(at_us);
  }
  const auto placed = batches_.emplace(end(), std::move(added)).first;
  placed->second.batch.bytes = placed->second.bytes;
  model_.messages.resize(end() + count);
}

void Machine::give_back(ModelMessage& m, TimeUs due_wall_us, TimeUs due_steady_us) {
  const std::uint32_t most = streams_.at(m.holder).max_deliveries;
  if (m.count++ == 0) m.first_us = m.delivered_us;
  m.due_wall_us = due_wall_us;
  m.due_steady_us = due_steady_us;
  if (most > 0 && m.count >= most)
    m.state = State::kDead;
  else
    m.state = due_steady_us > 0 ? State::kLater : State::kWaiting;
}

void Machine::give_back_all(StreamId stream) {
  for (ModelMessage& m : model_.messages)
    if (m.state == State::kHeld && m.holder == stream) give_back(m, 0, 0);
}

void Machine::attach() {
  if (pick(3) != 0 && streams_.size() > 1) return;
  const StreamId stream = 1 + pick(kStreams);
  std::uint64_t epoch = epoch_ + (epoch_ == 0);
  if (pick(8) == 0) epoch += pick(3) - 1;
  if (epoch <= retired_ && pick(4) != 0) epoch = retired_ + 1;
  const StreamOptions with{.attach_epoch = epoch,
                           .credit_bytes = pick(8'000),
                           .credit_messages = pick(80),
                           .ack_timeout_us = pick(2) == 0 ? 0 : 1'000 + pick(20'000),
                           .max_deliveries = options_.max_deliveries};
  const auto attached = core_.attach(stream, with, now_);
  const bool stale = epoch < epoch_ || (retired_ > 0 && epoch <= retired_);
  REQUIRE(attached.has_value() == !stale);
  if (!attached) return;
  give_back_all(stream);
  streams_.erase(stream);
  std::vector<StreamId> ended;
  if (epoch > epoch_) {
    for (const auto& [other, options] : streams_)
      if (!options.retired) ended.push_back(other);
    for (const StreamId other : ended) {
      give_back_all(other);
      streams_.erase(other);
    }
  }
  REQUIRE(attached->ended == ended);
  epoch_ = epoch;
  streams_[stream] = {.epoch = epoch,
                      .bytes = static_cast<std::int64_t>(with.credit_bytes),
                      .messages = with.credit_messages,
                      .ack_timeout_us = with.ack_timeout_us,
                      .max_deliveries = with.max_deliveries,
                      .draining = revoked_ > 0 && epoch <= revoked_};
}

void Machine::detach() {
  if (pick(4) != 0) return;
  const StreamId stream = 1 + pick(kStreams);
  core_.detach(stream, now_);
  give_back_all(stream);
  streams_.erase(stream);
}

void Machine::credit() {
  const StreamId stream = 1 + pick(kStreams);
  if (pick(50) == 0) {  // far too much: refused, and nothing changes
    REQUIRE_FALSE(core_.credit(stream, limits::kMaxCreditBytes + 1, 1).has_value());
    return;
  }
  const std::uint64_t bytes = pick(4'000), messages = pick(41);
  const auto given = core_.credit(stream, bytes, messages);
  REQUIRE(given.has_value() == streams_.contains(stream));
  if (!given) return;
  streams_[stream].bytes += static_cast<std::int64_t>(bytes);
  streams_[stream].messages += messages;
}

void Machine::pause() {
  const StreamId stream = 1 + pick(kStreams);
  const bool paused = pick(3) == 0;
  core_.pause(stream, paused);
  if (streams_.contains(stream)) streams_[stream].paused = paused;
}

void Machine::revoke_or_retire() {
  const std::uint64_t epoch = epoch_ - (epoch_ > 0 && pick(4) == 0);
  if (epoch == 0) return;
  const bool retires = pick(2) == 0;
  if (retires) {
    core_.retire(epoch, now_);
    retired_ = std::max(retired_, epoch);
  } else {
    core_.revoke(epoch);
    revoked_ = std::max(revoked_, epoch);
  }
  bool holds = false;
  for (auto& [id, stream] : streams_) {
    if (stream.epoch > epoch) continue;
    const auto is_held = [&](const auto& m) { return m.state == State::kHeld && m.holder == id; };
    if (retires) {
      stream.owes = stream.owes || std::ranges::any_of(model_.messages, is_held);
      give_back_all(id);
    }
    (retires ? stream.retired : stream.draining) = true;
    holds = holds || std::ranges::any_of(model_.messages, is_held);
  }
  REQUIRE(core_.drained(epoch) == !holds);
}

void Machine::end_retired() {
  std::vector<StreamId> ended;
  for (const auto& [id, stream] : streams_)
    if (stream.retired && !stream.owes) ended.push_back(id);
  REQUIRE(core_.end_retired() == ended);
  for (const StreamId id : ended) streams_.erase(id);
}

ErrorCode Machine::expected_error(StreamId stream, Kind kind, const Ranges& ranges) {
  if (!streams_.contains(stream)) return ErrorCode::kUnknownStream;
  const bool late = streams_[stream].retired && kind != Kind::acknowledge && kind != Kind::skip;
  for (const OffsetRange& range : ranges) {
    if (range.first > range.last) return ErrorCode::kBadArgument;
    if (range.last >= end()) return ErrorCode::kOffsetOutOfRange;
    for (Offset o = range.first; o <= range.last && !late; ++o)
      if (at(o).state == State::kHeld && at(o).holder != stream) return ErrorCode::kNotYours;
  }
  return ErrorCode::kOk;
}

void Machine::answer_some(Kind kind) {
  const StreamId stream = 1 + pick(kStreams);
  Ranges ranges(1 + pick(3));
  const Offset low = floor() - std::min<Offset>(floor(), 20);
  for (OffsetRange& range : ranges) {
    range.first = low + pick(end() - low + 2);
    range.last = range.first + pick(pick(4) == 0 ? 20 : 3);
    if (pick(100) == 0) std::swap(range.first, range.last);
  }
  if (pick(2) == 0) {  // what it holds, as consumers do
    ranges.clear();
    for (Offset o = 0; o < end(); ++o)
      if (at(o).state == State::kHeld && at(o).holder == stream && pick(2) == 0)
        ranges.push_back({o, o});
  }
  const std::uint64_t longest_delay = options_.mode == Mode::resilient ? 9'000 : 90'000;
  answer(kind, stream, ranges,
         kind == Kind::unacknowledge && pick(3) == 0 ? pick(longest_delay) : 0);
}

// So that the floor moves as with consumers that behave.
void Machine::acknowledge_from_floor() {
  if (streams_.empty() || floor() == end()) return;
  const ModelMessage& m = at(floor());
  const StreamId stream = m.state == State::kHeld ? m.holder : streams_.begin()->first;
  Offset last = floor();
  while (last + 1 < end() && last < floor() + 15 &&
         (at(last + 1).state != State::kHeld || at(last + 1).holder == stream))
    ++last;
  answer(Kind::acknowledge, stream, {{floor(), last}}, 0);
}

void Machine::answer(Kind kind, StreamId stream, const Ranges& ranges, std::uint64_t delay_us) {
  const auto answered = core_.answer(stream, kind, ranges, delay_us, now_);
  REQUIRE((answered ? ErrorCode::kOk : answered.error().code) ==
          expected_error(stream, kind, ranges));
  if (!answered) return;
  const ModelStream& from = streams_[stream];
  const TimeUs delay = static_cast<TimeUs>(delay_us);
  for (const OffsetRange& range : ranges) {
    for (Offset o = range.first; o <= range.last; ++o) {
      ModelMessage& m = at(o);
      const bool held = m.state == State::kHeld && m.holder == stream;
      if (kind == Kind::extend) {
        if (held && from.ack_timeout_us > 0)
          m.deadline_us = now_.steady_us + static_cast<TimeUs>(from.ack_timeout_us);
      } else if (kind == Kind::unacknowledge) {
        if (held)
          give_back(m, delay > 0 ? now_.wall_us + delay : 0,
                    delay > 0 ? now_.steady_us + delay : 0);
      } else if (m.state != State::kAnswered && m.state != State::kPassed &&
                 m.state != State::kRound) {
        if (kind == Kind::skip) ++model_.skipped;
        const bool early =
            m.state == State::kFresh && deliver_at_[o] != 0 && due_key(o) > core_.due_cursor();
        if (early) model_.delayed_exact = false;
        m = {.state = State::kAnswered, .passed = m.passed, .answered_early = early};
      }
    }
  }
}

void Machine::drop_wants() {
  for (const auto& want : wants_) core_.fetch_failed(want);
  wants_.clear();
}

void Machine::advance_start() {
  log_start_ = std::max(log_start_, floor() + pick(end() - floor() + 1) / 4);
  core_.log_start_advanced(log_start_);
  for (Offset o = 0; o < log_start_; ++o)
    at(o) = {.state = State::kAnswered,
             .passed = at(o).passed,
             .count = at(o).count,
             .first_us = at(o).first_us};
  drop_wants();  // their batches are gone
}

void Machine::reset() {
  const Offset to = pick(4) == 0 ? pick(end() + 2) : log_start_ + pick(end() - log_start_ + 2);
  const auto ended = core_.reset(to);
  REQUIRE(ended.has_value() == (to >= log_start_ && to <= end()));
  if (!ended) return;
  REQUIRE(ended->size() == streams_.size());
  streams_.clear();
  wants_.clear();
  for (Offset o = 0; o < end(); ++o) {
    const bool round = std::count(model_.round.begin(), model_.round.end(), o) > 0;
    const ModelMessage before = at(o);
    at(o) = {.state = o < to ? State::kAnswered : State::kFresh};
    if (!round) continue;
    if (o >= to) at(o).state = State::kRound;
    at(o).count = before.count;
    at(o).first_us = before.first_us;
  }
  model_.delayed = 0;
  model_.delayed_exact = true;
  model_.start = to;
}

}  // namespace andyx::server
