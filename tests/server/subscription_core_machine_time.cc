// What happens to the machine by itself: time, the due index, dead letters, writes, crashes.
#include <algorithm>

#include "tests/server/subscription_core_machine.h"

namespace andyx::server {

void Machine::pass_time() {
  const TimeUs passed = static_cast<TimeUs>(pick(4'000));
  now_.steady_us += passed;
  now_.wall_us += passed;
  if (pick(20) == 0) now_.wall_us += static_cast<TimeUs>(pick(20'000)) - 10'000;  // it was set
  core_.advance(now_);
  for (ModelMessage& m : model_.messages) {
    if (m.state == State::kHeld && m.deadline_us > 0 && m.deadline_us <= now_.steady_us) {
      give_back(m, 0, 0);
      ++timeouts;
    } else if (m.state == State::kLater && m.due_steady_us <= now_.steady_us) {
      m.state = m.maybe_waiting && !m.matured ? State::kFresh : State::kWaiting;
    }
  }
}

// As the shell reads the due index.
void Machine::mature() {
  const std::size_t room = std::min<std::size_t>(core_.mature_room(), 1 + pick(10));
  if (core_.mature_room() == 0) return;
  std::vector<DueKey> due;
  const DueKey from = core_.due_cursor();
  DueKey cursor{now_.wall_us, kNoOffset};
  for (auto entry = due_index_.upper_bound({from.at_us, from.offset});
       entry != due_index_.end() && entry->first <= now_.wall_us; ++entry) {
    due.push_back({entry->first, entry->second});
    if (due.size() < room) continue;
    cursor = due.back();
    break;
  }
  latest_wall_us_ = std::max(latest_wall_us_, now_.wall_us);
  if (cursor <= from) return;
  core_.mature(due, cursor);
  const auto brought = core_.state().matured;
  for (const DueKey& entry : due) {
    ModelMessage& m = at(entry.offset);
    const bool is = std::any_of(brought.begin(), brought.end(), [&](const OffsetRange& r) {
      return r.first <= entry.offset && entry.offset <= r.last;
    });
    const bool must = m.state == State::kPassed && entry.offset >= log_start_;
    REQUIRE((is == must || (is && m.answered_early)));
    if (!m.passed && entry.offset < log_start_) model_.delayed_exact = false;
    if (m.passed && entry.offset >= model_.start && model_.delayed > 0) --model_.delayed;
    m.passed = false;
    if (!is) continue;
    m = {.state = State::kMaturing, .matured = true};
    ++matured;
  }
  write_change(true);
}

void Machine::dead_round() {
  if (const auto round = core_.dead_round()) {
    REQUIRE(round->sequence == model_.dead_lettered);
    REQUIRE(round->letters.size() == model_.round.size());
    for (std::size_t i = 0; i < model_.round.size(); ++i) {
      REQUIRE(round->letters[i].offset == model_.round[i]);
      REQUIRE(round->letters[i].deliveries == at(model_.round[i]).count);
      REQUIRE(round->letters[i].first_delivered_us == at(model_.round[i]).first_us);
    }
    core_.dead_round_done(round->sequence + 1);  // not this one
    if (!drains_ && pick(2) == 0) return;
    core_.dead_round_done(round->sequence);
    model_.dead_lettered += model_.round.size();
    dead_lettered += model_.round.size();
    for (const Offset o : model_.round) at(o) = {.state = State::kAnswered, .passed = at(o).passed};
    model_.round.clear();
    return;
  }
  REQUIRE(model_.round.empty());
  if (!core_.begin_dead_round()) {
    REQUIRE_FALSE(any(State::kDead));
    return;
  }
  const auto begun = core_.dead_round();
  REQUIRE(begun.has_value());
  for (const auto& letter : begun->letters) {
    REQUIRE((at(letter.offset).state == State::kDead || dead_candidate(at(letter.offset))));
    at(letter.offset).state = State::kRound;
    model_.round.push_back(letter.offset);
  }
}

void Machine::write_change(bool may_be_lost) {
  const auto change = core_.take_change();
  if (change && may_be_lost && pick(6) == 0) {
    core_.change_lost();
    return;
  }
  if (change) {
    const auto record = decode_cursor_record(encode_cursor_record({&*change, 1}));
    REQUIRE(record.has_value());
    REQUIRE(record->changes.at(0) == *change);
    changes_.push_back(*change);
    if (pick(10) == 0) changes_.push_back(*change);  // twice changes nothing
  }
  if (pick(10) == 0) changes_ = {core_.state()};  // a snapshot
  SubscriptionCore rebuilt(kId, options_.type, options_.mode, options_.key_ordered);
  for (const CursorChange& applied : changes_) rebuilt.apply(applied);
  const CursorChange expected = core_.state(), actual = rebuilt.state();
  REQUIRE(actual.floor == expected.floor);
  REQUIRE(actual.answered == expected.answered);
  REQUIRE(actual.matured == expected.matured);
  REQUIRE(actual.redeliveries == expected.redeliveries);
  REQUIRE(actual.dead_round == expected.dead_round);
  REQUIRE(actual == expected);
  core_.matured_durable();
  for (ModelMessage& m : model_.messages)
    if (m.state == State::kMaturing) m.state = State::kWaiting;
  durable_ = model_;
}

void Machine::crash() {
  ++crashes;
  core_ = SubscriptionCore(kId, options_.type, options_.mode, options_.key_ordered);
  for (const CursorChange& applied : changes_) core_.apply(applied);
  core_.open(log_start_, end(), now_);
  const std::size_t all = end();
  model_ = durable_;
  model_.messages.resize(all);
  streams_.clear();
  wants_.clear();
  epoch_ = revoked_ = retired_ = 0;
  for (Offset o = 0; o < all; ++o) {
    ModelMessage& m = at(o);
    if (o < log_start_)
      m = {.state = State::kAnswered, .passed = m.passed, .count = m.count, .first_us = m.first_us};
    if (m.state == State::kAnswered || m.state == State::kPassed || m.state == State::kRound)
      continue;
    m.maybe_waiting = false;
    m.state = m.matured ? State::kWaiting : State::kFresh;
    const TimeUs left = m.due_wall_us == 0 ? 0 : m.due_wall_us - now_.wall_us;
    if (left <= 0) continue;
    m.state = State::kLater;
    m.maybe_waiting = true;
    m.due_steady_us = now_.steady_us + left;
  }
}

}  // namespace andyx::server
