// SubscriptionCore against a plain model: a state for each message, found by looking at all of
// them. Every step is one random event; after each the two agree. Where the core may decide (who
// gets what, how far it looks ahead), the model checks that the decision is allowed.
#pragma once

#include <limits>
#include <map>
#include <random>
#include <set>

#include "tests/server/subscription_core_fixture.h"

namespace andyx::server {

struct ModelMessage {
  enum class State {
    kFresh,
    kHeld,
    kWaiting,
    kLater,
    kDead,
    kRound,
    kPassed,
    kMaturing,
    kAnswered
  };
  State state = State::kFresh;
  bool matured = false;         // came by the due index: the floor has passed it
  bool passed = false;          // counted as delayed
  bool answered_early = false;  // before its time, and not delivered yet
  bool maybe_waiting = false;   // its delay began before a restart: fresh or waiting
  StreamId holder = 0;
  TimeUs delivered_us = 0, deadline_us = 0;
  std::uint32_t count = 0;
  TimeUs first_us = 0, due_wall_us = 0, due_steady_us = 0;
};
using State = ModelMessage::State;

inline constexpr TimeUs kNoDeadline = std::numeric_limits<TimeUs>::max();

// What a crash takes back to the last durable change.
struct Model {
  std::vector<ModelMessage> messages;
  std::vector<Offset> round;
  std::uint64_t skipped = 0, dead_lettered = 0, delayed = 0;
  bool delayed_exact = true;  // answers before their time and retention blur it
  Offset start = 0;
};

struct ModelStream {
  std::uint64_t epoch = 0;
  std::int64_t bytes = 0;
  std::uint64_t messages = 0;
  std::uint64_t ack_timeout_us = 0;
  std::uint32_t max_deliveries = 0;
  bool paused = false, draining = false, retired = false, owes = false;

  bool live() const { return !draining && !retired; }
  bool able() const { return live() && !paused && bytes > 0 && messages > 0; }
};

struct LogBatch {
  SubscriptionCore::Batch batch;
  std::vector<std::uint8_t> bytes;
};

struct MachineOptions {
  Type type = Type::shared;
  Mode mode = Mode::nonresilient;
  bool key_ordered = false;
  std::uint32_t max_deliveries = 0;
  bool delays = false;
};

class Machine {
 public:
  Machine(const MachineOptions& options, std::uint64_t seed);

  void step();
  // Everything is delivered and answered in the end.
  void drain();

  std::uint64_t delivered = 0, redelivered = 0, crashes = 0, timeouts = 0, dead_lettered = 0,
                matured = 0;

 private:
  static constexpr SubscriptionId kId = 9;
  static constexpr StreamId kStreams = 4;

  // Events (subscription_core_machine.cc).
  void append();
  void attach();
  void detach();
  void credit();
  void pause();
  void revoke_or_retire();
  void end_retired();
  void answer_some(Kind kind);
  void acknowledge_from_floor();
  void answer(Kind kind, StreamId stream, const Ranges& ranges, std::uint64_t delay_us);
  void advance_start();
  void reset();
  // Time (subscription_core_machine_time.cc).
  void pass_time();
  void mature();
  void dead_round();
  void write_change(bool may_be_lost);
  void crash();

  // Delivery and checks (subscription_core_machine_checks.cc).
  void deliver();
  void pump();
  void take(const SubscriptionCore::Want& want);
  void check_delivered(const SubscriptionCore::Want& want,
                       const SubscriptionCore::DeliveredRange& range, Offset offset);
  void check_key_order(const SubscriptionCore::DeliveredRange& range, Offset offset);
  void check_resilient(const SubscriptionCore::Want& want, Offset offset);
  void note_passed(const SubscriptionCore::Batch& batch);
  void check_want(const SubscriptionCore::Want& want);
  void check_idle();
  void check_idle_keyed();
  void check_stats();

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  Offset end() const { return model_.messages.size(); }
  ModelMessage& at(Offset offset) { return model_.messages[offset]; }
  bool in_set(Offset offset) const {
    const ModelMessage& m = model_.messages[offset];
    return m.matured || m.state == State::kAnswered || m.state == State::kPassed;
  }
  bool unanswered(Offset offset) const {
    const State state = model_.messages[offset].state;
    return state != State::kAnswered && state != State::kPassed;
  }
  // Delivered too often to be delivered again: the core finds it dead when it comes to it.
  bool dead_candidate(const ModelMessage& m) const {
    return options_.max_deliveries > 0 && m.count >= options_.max_deliveries &&
           (m.state == State::kFresh || m.state == State::kWaiting);
  }
  DueKey due_key(Offset offset) const { return {deliver_at_[offset], offset}; }
  Offset floor() const;
  bool any(State state) const;
  bool any_able() const;
  void give_back(ModelMessage& m, TimeUs due_wall_us, TimeUs due_steady_us);
  void give_back_all(StreamId stream);
  ErrorCode expected_error(StreamId stream, Kind kind, const Ranges& ranges);
  void drop_wants();

  MachineOptions options_;
  std::mt19937_64 random_;
  SubscriptionCore core_;
  Now now_{.wall_us = 1'000'000, .steady_us = 500};
  TimeUs latest_wall_us_ = 0;

  // The log.
  std::vector<std::uint32_t> keys_;
  std::vector<TimeUs> deliver_at_;
  std::map<Offset, LogBatch> batches_;
  std::set<std::pair<TimeUs, Offset>> due_index_;
  Offset log_start_ = 0;

  Model model_, durable_;
  std::vector<CursorChange> changes_;
  std::map<StreamId, ModelStream> streams_;
  std::vector<SubscriptionCore::Want> wants_;
  std::uint64_t epoch_ = 0, revoked_ = 0, retired_ = 0;
  bool drains_ = false;
};

}  // namespace andyx::server
