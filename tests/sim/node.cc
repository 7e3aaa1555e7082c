#include "tests/sim/node.h"

#include <algorithm>
#include <utility>

#include "raft/core/planted.h"
#include "tests/sim/violation.h"

namespace andyx::raft::sim {

namespace {

constexpr std::uint64_t kNodeStream = 1000;
constexpr std::size_t kMaxInbox = 1000;  // a socket's buffers

}  // namespace

Node::Node(PeerId id, Environment& environment)
    : id_(id),
      environment_(environment),
      options_(environment.options()),
      rng_(options_.seed, kNodeStream + id) {
  const Time drift = options_.tick / 1000 * rng_.between(0, options_.drift);
  tick_period_ = rng_.permille(500) ? options_.tick + drift : options_.tick - drift;
}

void Node::format(SnapshotPtr snapshot) {
  const HardState hard{.term = snapshot->meta.term, .commit = snapshot->meta.index};
  disk_.format(std::move(snapshot), hard);
}

void Node::start() {
  if (!disk_.recover()) {
    violated("synced entries stay", "peer " + std::to_string(id_) + " lost what it had synced");
  }
  incarnation_++;
  machine_ = {};
  conf_ = {};
  if (disk_.saved_machine()) {
    machine_ = disk_.saved_machine()->machine;
    conf_ = disk_.saved_machine()->conf;
  }
  restored_ = 0;
  const SnapshotPtr snapshot = *disk_.seen().snapshot();
  if (snapshot->meta.index > machine_.applied()) {
    conf_ = snapshot->meta.conf;
    restore(*snapshot);
  }
  if (conf_ != snapshot->meta.conf) {
    disk_.membership_changed(machine_.applied());
  }
  environment_.checker().started(id_, disk_.durable_hard());
  Config config;
  config.id = id_;
  config.election_ticks = options_.election_ticks;
  config.heartbeat_ticks = options_.heartbeat_ticks;
  config.storage = &disk_;
  config.logger = &environment_.logger();
  config.draw = [this](std::uint32_t bound) {
    return static_cast<std::uint32_t>(rng_.below(bound));
  };
  config.applied = machine_.applied();
  config.async_storage_writes = options_.async_storage;
  config.max_append_bytes = options_.max_append_bytes;
  config.max_applying_bytes = options_.max_applying_bytes;
  config.max_uncommitted_bytes = options_.max_uncommitted_bytes;
  config.max_inflight_appends = options_.max_inflight_appends;
  config.max_inflight_bytes = options_.max_inflight_bytes;
  config.check_quorum = options_.check_quorum;
  config.pre_vote = options_.pre_vote;
  config.read_only = options_.lease ? ReadOnly::kLease : ReadOnly::kSafe;
  config.forward_proposals = options_.forward;
  config.validate_conf_changes = options_.validate;
  config.step_down_on_removal = options_.step_down_on_removal;
  core_ = std::make_unique<RawNode>(config);
  environment_.later(Later::kTick, *this, 1 + rng_.below(tick_period_));
  after_input();
}

void Node::crash() {
  environment_.trace().add({.at = environment_.now(), .what = "crash", .peer = id_});
  environment_.counts().crashes++;
  environment_.counts().torn += disk_.synced() ? 0 : 1;
  core_.reset();
  paused_ = false;
  missed_ticks_ = 0;
  ticks_ = heard_tick_ = 0;
  inbox_.clear();
  requests_.clear();
  ready_.clear();
  handling_ = applying_ = apply_busy_ = false;
  append_queue_.clear();
  appending_.clear();
  apply_queue_.clear();
  reads_.clear();
  crash_in_ = 0;
  disk_fails_ = false;
  disk_factor_ = 1;
  disk_.crash(rng_, options_.atomic_writes);
}

void Node::pause() { paused_ = up(); }

void Node::resume() {
  paused_ = false;
  if (up() && !waits()) {
    flush_inbox();
  }
}

// Ticks before messages: a leader that was stopped must notice before it answers.
void Node::flush_inbox() {
  const std::uint32_t ticks = std::min(missed_ticks_, 2 * options_.election_ticks);
  missed_ticks_ = 0;
  for (std::uint32_t i = 0; i < ticks; i++) {
    ticks_++;
    core_->tick();
    observe();
  }
  while (!inbox_.empty() || !requests_.empty()) {
    if (!inbox_.empty()) {
      Message message = std::move(inbox_.front());
      inbox_.pop_front();
      step(std::move(message));
    } else {
      const std::function<void(RawNode&)> act = std::move(requests_.front());
      requests_.pop_front();
      act(*core_);
    }
    observe();
  }
  after_input();
}

void Node::tick() {
  environment_.later(Later::kTick, *this, tick_period_);
  if (paused_ || waits()) {
    missed_ticks_++;
    return;
  }
  ticks_++;
  core_->tick();
  after_input();
}

void Node::receive(Message message) {
  if (paused_ || waits()) {
    if (inbox_.size() < kMaxInbox) {
      inbox_.push_back(std::move(message));
    }
    return;
  }
  step(std::move(message));
  after_input();
}

void Node::step(Message message) {
  const MessageType type = message.type;
  const PeerId from = message.from;
  const Term term = message.term;
  const bool votes_free = message.transfer;
  const HardState before = core_->hard_state();
  const SoftState knew = core_->soft_state();
  const StepResult result = core_->step(std::move(message));
  if (!result && result.error() == StepError::kLocalMessage) {
    violated("no local message", "peer " + std::to_string(id_) + " was sent one");
  }
  const HardState after = core_->hard_state();
  const SoftState knows = core_->soft_state();
  if (type == MessageType::kAppendReply && knows.role == Role::kLeader) {
    environment_.checker().matched(*core_, disk_, from);
  }
  if (knows.leader == from && after.term == term &&
      (type == MessageType::kAppend || type == MessageType::kHeartbeat)) {
    heard_tick_ = ticks_ + 1;
  }
  // The promise that check-quorum gives: who has heard from a leader elects no other for a while.
  const bool promised = options_.check_quorum && knew.role == Role::kFollower &&
                        knew.leader != kNone && heard_tick_ != 0 &&
                        ticks_ + 1 - heard_tick_ < options_.election_ticks;
  if (type == MessageType::kVote && !votes_free && promised && after.vote == from &&
      (after.vote != before.vote || after.term != before.term)) {
    violated("no vote while a leader lives", "peer " + std::to_string(id_) + " votes for peer " +
                                                 std::to_string(from) + " in term " +
                                                 std::to_string(after.term));
  }
}

void Node::with_core(std::function<void(RawNode&)> act) {
  if (!running()) {
    return;
  }
  if (waits()) {
    requests_.push_back(std::move(act));
    return;
  }
  act(*core_);
  after_input();
}

void Node::request(const SharedBytes& command) {
  with_core([command](RawNode& core) { static_cast<void>(core.propose(command)); });
}

void Node::read(std::uint64_t context) {
  with_core([context](RawNode& core) { core.read_index(context); });
}

void Node::change(const ConfChange& change) {
  with_core([change](RawNode& core) { static_cast<void>(core.propose_conf_change(change)); });
}

void Node::observe() {
  environment_.checker().observe(id_, core_->hard_state(), core_->soft_state(), core_->last_index(),
                                 disk_, [this] { return core_->conf_state(); });
}

void Node::after_input() {
  observe();
  if (disk_.take_snapshot_wanted() && machine_.applied() > disk_.snapshot_index() &&
      !take_snapshot()) {
    return;
  }
  if (options_.async_storage) {
    pump_async();
  } else if (!handling_ && core_->has_ready()) {
    begin_ready();
  }
}

bool Node::step_hits_crash() {
  const bool now = disk_fails_ || (crash_in_ != 0 && --crash_in_ == 0);
  if (now) {
    crash();
    environment_.went_down(*this);
  }
  return now;
}

Time Node::sync_time() {
  return rng_.between(options_.sync_min,
                      options_.sync_max / (1 + rng_.below(8)) + options_.sync_min) *
         disk_factor_;
}

}  // namespace andyx::raft::sim
