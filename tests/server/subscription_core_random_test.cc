// SubscriptionCore against a plain model: a state for each offset. Every step is one random event;
// after each the two agree, and what is rebuilt from the changes is the durable state.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "server/subscription/subscription_core.h"
#include "subscription_generated.h"

namespace andyx::server {
namespace {

using Kind = protocol::AnswerKind;
using Mode = protocol::SubscriptionMode;

struct Message {
  enum class State { kFresh, kHeld, kWaiting, kAnswered } state = State::kFresh;
  StreamId holder = 0;
  TimeUs delivered_us = 0;
  std::uint32_t count = 0;
  TimeUs first_delivered_us = 0;
};
using State = Message::State;

struct ModelStream {
  std::int64_t bytes = 0;
  std::uint64_t messages = 0;
};

class Machine {
 public:
  Machine(Mode mode, std::uint64_t seed) : mode_(mode), random_(seed), core_(kId, mode) {
    append();
    const Offset start = pick(end());
    for (Offset o = 0; o < start; ++o) log_[o].state = State::kAnswered;
    core_.create(start);
    core_.open(0, end());
    take_change();
  }

  void step() {
    ++now_us_;
    switch (pick(24)) {
      case 0:
      case 1:
        append();
        core_.committed(end());
        break;
      case 2:
        attach();
        break;
      case 3:
        detach();
        break;
      case 4:
      case 5:
        credit();
        break;
      case 6:
      case 7:
      case 8:
        answer(Kind::acknowledge);
        break;
      case 9:
        answer(Kind::skip);
        break;
      case 10:
      case 11:
      case 12:
        answer(Kind::unacknowledge);
        break;
      case 13:
        acknowledge_from_floor();
        break;
      case 14:
        if (pick(20) == 0) advance_start();
        break;
      case 15:
        if (pick(50) == 0) reset();
        break;
      case 16:
        take_change();
        break;
      case 17:
        if (pick(20) == 0) restart();
        break;
      case 18:
        if (pick(10) == 0) core_.change_lost();
        break;
      default:
        deliver();
        break;
    }
    check_stats();
  }

  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t redelivered() const { return redelivered_; }

 private:
  static constexpr SubscriptionId kId = 9;
  static constexpr StreamId kStreams = 3;

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  Offset end() const { return log_.size(); }

  Offset floor() const {
    Offset floor = 0;
    while (floor < end() && log_[floor].state == State::kAnswered) ++floor;
    return floor;
  }

  void append() {
    if (end() > floor() + 500) return;  // the consumer is far behind
    const std::uint32_t count = 1 + static_cast<std::uint32_t>(pick(20));
    batches_[end()] = {end(), count, 90 + static_cast<std::uint32_t>(pick(2'000))};
    log_.resize(end() + count);
  }

  void forget(Message& m) {
    m = {.state = State::kFresh, .count = m.count, .first_delivered_us = m.first_delivered_us};
  }

  void give_back(Message& m) {
    if (m.count++ == 0) m.first_delivered_us = m.delivered_us;
    m.state = State::kWaiting;
  }

  void give_back_all(StreamId stream) {
    for (Message& m : log_)
      if (m.state == State::kHeld && m.holder == stream) give_back(m);
  }

  void attach() {
    const StreamId stream = 1 + pick(kStreams);
    const std::uint64_t epoch = epoch_ + pick(3) - 1 + (epoch_ == 0);
    const std::uint64_t bytes = pick(5'000), messages = pick(60);
    const auto attached = core_.attach(stream, epoch, bytes, messages);
    REQUIRE(attached.has_value() == (epoch >= epoch_));
    if (!attached) return;
    std::vector<StreamId> ended;
    give_back_all(stream);
    streams_.erase(stream);
    if (epoch > epoch_) {
      for (const auto& [other, credits] : streams_) {
        ended.push_back(other);
        give_back_all(other);
      }
      streams_.clear();
    }
    auto reported = attached->ended;
    std::sort(reported.begin(), reported.end());
    REQUIRE(reported == ended);
    epoch_ = epoch;
    streams_[stream] = {static_cast<std::int64_t>(bytes), messages};
    drop_wants();
  }

  void detach() {
    if (pick(4) != 0) return;
    const StreamId stream = 1 + pick(kStreams);
    core_.detach(stream);
    give_back_all(stream);
    streams_.erase(stream);
    drop_wants();
  }

  // Those of streams that are gone bring nothing any more.
  void drop_wants() {
    for (const auto& want : wants_) lost_wants_.push_back(want);
    wants_.clear();
    for (const auto& want : lost_wants_) core_.fetch_failed(want);
    lost_wants_.clear();
  }

  void credit() {
    const StreamId stream = 1 + pick(kStreams);
    const std::uint64_t bytes = pick(3'000), messages = pick(30);
    const auto given = core_.credit(stream, bytes, messages);
    REQUIRE(given.has_value() == streams_.contains(stream));
    if (!given) return;
    streams_[stream].bytes += static_cast<std::int64_t>(bytes);
    streams_[stream].messages += messages;
  }

  ErrorCode expected_error(StreamId stream, const std::vector<OffsetRange>& ranges) const {
    if (!streams_.contains(stream)) return ErrorCode::kUnknownStream;
    for (const OffsetRange& range : ranges) {
      if (range.first > range.last) return ErrorCode::kBadArgument;
      if (range.last >= end()) return ErrorCode::kOffsetOutOfRange;
      for (Offset o = range.first; o <= range.last; ++o)
        if (log_[o].state == State::kHeld && log_[o].holder != stream) return ErrorCode::kNotYours;
    }
    return ErrorCode::kOk;
  }

  void answer(Kind kind) {
    const StreamId stream = 1 + pick(kStreams);
    std::vector<OffsetRange> ranges(1 + pick(3));
    const Offset low = floor() - std::min<Offset>(floor(), 5);
    for (OffsetRange& range : ranges) {
      range.first = low + pick(end() - low + 2);
      range.last = range.first + pick(pick(4) == 0 ? 20 : 3);
      if (pick(100) == 0) std::swap(range.first, range.last);
    }
    answer(kind, stream, ranges);
  }

  // So that the floor moves as with consumers that behave.
  void acknowledge_from_floor() {
    if (streams_.empty() || floor() == end()) return;
    const Message& m = log_[floor()];
    const StreamId stream = m.state == State::kHeld ? m.holder : streams_.begin()->first;
    Offset last = floor();
    while (last + 1 < end() && last < floor() + 15 &&
           (log_[last + 1].state != State::kHeld || log_[last + 1].holder == stream))
      ++last;
    answer(Kind::acknowledge, stream, {{floor(), last}});
  }

  void answer(Kind kind, StreamId stream, const std::vector<OffsetRange>& ranges) {
    const auto answered = core_.answer(stream, kind, ranges);
    const ErrorCode expected = expected_error(stream, ranges);
    REQUIRE((answered ? ErrorCode::kOk : answered.error().code) == expected);
    if (!answered) return;
    for (const OffsetRange& range : ranges) {
      for (Offset o = range.first; o <= range.last; ++o) {
        Message& m = log_[o];
        if (kind == Kind::unacknowledge) {
          if (m.state == State::kHeld) give_back(m);
          continue;
        }
        if (m.state != State::kAnswered && kind == Kind::skip) ++skipped_;
        m = {.state = State::kAnswered};
      }
    }
  }

  void advance_start() {
    start_ = std::max(start_, floor() + pick(end() - floor() + 1) / 4);
    core_.log_start_advanced(start_);
    for (Offset o = 0; o < start_; ++o) log_[o] = {.state = State::kAnswered};
    drop_wants();  // their batches are gone
  }

  void reset() {
    const Offset to = pick(4) == 0 ? pick(end() + 2) : start_ + pick(end() - start_ + 2);
    const auto ended = core_.reset(to);
    REQUIRE(ended.has_value() == (to >= start_ && to <= end()));
    if (!ended) return;
    REQUIRE(ended->size() == streams_.size());
    streams_.clear();
    wants_.clear();
    for (Offset o = 0; o < end(); ++o)
      log_[o] = {.state = o < to ? State::kAnswered : State::kFresh};
  }

  void take_change() {
    const auto change = core_.take_change();
    if (change) {
      const auto record = decode_cursor_record(encode_cursor_record({&*change, 1}));
      REQUIRE(record.has_value());
      REQUIRE(record->changes.at(0) == *change);
      changes_.push_back(*change);
    }
    if (pick(10) == 0) changes_ = {core_.state()};  // a snapshot
    REQUIRE(rebuilt().state() == core_.state());
  }

  SubscriptionCore rebuilt() const {
    SubscriptionCore core(kId, mode_);
    for (const CursorChange& change : changes_) core.apply(change);
    return core;
  }

  void restart() {
    take_change();
    core_ = rebuilt();
    core_.open(start_, end());
    streams_.clear();
    wants_.clear();
    epoch_ = 0;
    for (Message& m : log_)
      if (m.state != State::kAnswered) forget(m);
  }

  bool any(State state) const {
    return std::any_of(log_.begin(), log_.end(),
                       [&](const Message& m) { return m.state == state; });
  }

  void deliver() {
    if (pick(4) != 0 || wants_.empty()) {
      if (const auto want = core_.next_want()) {
        check_want(*want);
        wants_.push_back(*want);
      } else if (wants_.empty()) {
        check_idle();
      }
    }
    if (wants_.empty() || pick(5) == 0) return;  // the fetch takes a while
    const std::size_t which = pick(wants_.size());
    const auto want = wants_[which];
    wants_.erase(wants_.begin() + static_cast<std::ptrdiff_t>(which));
    if (pick(20) == 0)
      core_.fetch_failed(want);
    else
      take(want);
  }

  void check_want(const SubscriptionCore::Want& want) {
    REQUIRE(streams_.contains(want.stream));
    REQUIRE(streams_[want.stream].bytes > 0);
    REQUIRE(streams_[want.stream].messages > 0);
    REQUIRE(want.from < end());
    for (const auto& other : wants_) REQUIRE(other.redelivery != want.redelivery);
    if (mode_ == Mode::resilient) {
      REQUIRE(wants_.empty());
      REQUIRE_FALSE(any(State::kHeld));
      REQUIRE((want.from == floor() || log_[floor()].state == State::kFresh || want.redelivery));
    }
    const State expected = want.redelivery ? State::kWaiting : State::kFresh;
    REQUIRE(log_[want.from].state == expected);
    if (want.redelivery && mode_ != Mode::resilient) return;
    for (Offset o = 0; o < want.from; ++o) REQUIRE(log_[o].state != expected);
  }

  void check_idle() {
    const bool credit = std::any_of(streams_.begin(), streams_.end(), [](const auto& s) {
      return s.second.bytes > 0 && s.second.messages > 0;
    });
    const bool held = mode_ == Mode::resilient && any(State::kHeld);
    const bool work = any(State::kFresh) || any(State::kWaiting);
    REQUIRE_FALSE((credit && work && !held));
    REQUIRE_FALSE(core_.blocked().empty());
  }

  void take(const SubscriptionCore::Want& want) {
    const auto batch = std::prev(batches_.upper_bound(want.from))->second;
    ModelStream& stream = streams_.at(want.stream);
    const Offset batch_end = batch.base_offset + batch.count;
    const State from_state = want.redelivery ? State::kWaiting : State::kFresh;
    std::uint64_t allowed = 0;
    if (stream.bytes > 0 && stream.messages > 0) {
      const auto by_bytes =
          static_cast<std::uint64_t>(stream.bytes) * batch.count / batch.size_bytes;
      allowed = std::min(stream.messages, std::max<std::uint64_t>(1, by_bytes));
      if (mode_ == Mode::resilient) allowed = any(State::kHeld) ? 0 : 1;
    }
    std::vector<SubscriptionCore::DeliveredRange> out;
    const auto taken = core_.take(want, batch, now_us_, out);
    std::uint64_t messages = 0, redeliveries = 0;
    Offset next = want.from;
    for (const auto& range : out) {
      REQUIRE(range.first >= next);
      REQUIRE(range.last < batch_end);
      for (Offset o = next; o < range.first; ++o) REQUIRE(log_[o].state != from_state);
      for (Offset o = range.first; o <= range.last; ++o) {
        Message& m = log_[o];
        REQUIRE(m.state == from_state);
        REQUIRE(range.delivered_before == m.count);
        REQUIRE(range.first_delivered_us == m.first_delivered_us);
        m.state = State::kHeld;
        m.holder = want.stream;
        m.delivered_us = now_us_;
        ++messages;
        redeliveries += m.count > 0;
      }
      next = range.last + 1;
    }
    REQUIRE(taken.messages == messages);
    REQUIRE(taken.redeliveries == redeliveries);
    REQUIRE(messages <= allowed);
    if (messages < allowed)
      for (Offset o = next; o < batch_end; ++o) REQUIRE(log_[o].state != from_state);
    stream.messages -= messages;
    stream.bytes -= static_cast<std::int64_t>(
        (std::uint64_t{batch.size_bytes} * messages + batch.count - 1) / batch.count);
    delivered_ += messages;
    redelivered_ += redeliveries;
  }

  void check_stats() const {
    SubscriptionCore::Stats expected{.floor = floor(), .committed = end(), .skipped = skipped_};
    for (Offset o = expected.floor; o < end(); ++o) {
      expected.answered_above_floor += log_[o].state == State::kAnswered;
      expected.in_flight += log_[o].state == State::kHeld;
      expected.waiting_redelivery += log_[o].state == State::kWaiting;
      expected.lag += log_[o].state != State::kAnswered;
    }
    const auto stats = core_.stats();
    REQUIRE(stats.floor == expected.floor);
    REQUIRE(stats.committed == expected.committed);
    REQUIRE(stats.answered_above_floor == expected.answered_above_floor);
    REQUIRE(stats.in_flight == expected.in_flight);
    REQUIRE(stats.waiting_redelivery == expected.waiting_redelivery);
    REQUIRE(stats.lag == expected.lag);
    REQUIRE(stats.skipped == expected.skipped);
    std::uint64_t messages = 0, bytes = 0;
    for (const auto& [id, stream] : streams_) {
      messages += stream.messages;
      bytes += static_cast<std::uint64_t>(std::max<std::int64_t>(stream.bytes, 0));
    }
    REQUIRE(stats.credit_messages == messages);
    REQUIRE(stats.credit_bytes == bytes);
  }

  Mode mode_;
  std::mt19937_64 random_;
  SubscriptionCore core_;
  TimeUs now_us_ = 1'000;
  std::vector<Message> log_;
  std::map<Offset, SubscriptionCore::Batch> batches_;
  std::map<StreamId, ModelStream> streams_;
  std::vector<SubscriptionCore::Want> wants_, lost_wants_;
  std::vector<CursorChange> changes_;
  std::uint64_t epoch_ = 0, skipped_ = 0, delivered_ = 0, redelivered_ = 0;
  Offset start_ = 0;
};

void run(Mode mode) {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed ", seed);
  Machine machine(mode, seed);
  for (int step = 0; step < 20'000; ++step) {
    CAPTURE(step);
    machine.step();
  }
  CHECK(machine.delivered() > 200);
  CHECK(machine.redelivered() > 50);
}

TEST_CASE("nonresilient: 20,000 random events agree with the model") { run(Mode::nonresilient); }

TEST_CASE("resilient: 20,000 random events agree with the model") { run(Mode::resilient); }

}  // namespace
}  // namespace andyx::server
