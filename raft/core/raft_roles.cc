#include "raft/core/raft.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

void Raft::reset(Term term) {
  if (term_ != term) {
    term_ = term;
    vote_ = kNone;
  }
  leader_ = kNone;
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  randomized_timeout_ = config_.election_ticks + config_.draw(config_.election_ticks);
  transferee_ = kNone;
  lease_void_ = false;
  votes_.clear();
  const Index last = log_.last_index();
  for (auto& [peer, progress] : membership_.progress) {
    const bool learner = progress.learner;
    progress = fresh_progress(last + 1);
    progress.learner = learner;
    progress.match = peer == id() ? last : 0;
  }
  pending_conf_index_ = 0;
  uncommitted_bytes_ = 0;
  reads_ = {};
  pending_reads_.clear();
}

void Raft::become_follower(Term term, PeerId leader) {
  reset(term);
  leader_ = leader;
  role_ = Role::kFollower;
  say(LogLevel::kInfo, Hex{id()}, " became follower at term ", term_);
}

void Raft::become_candidate() {
  reset(term_ + 1);
  vote_ = id();
  role_ = Role::kCandidate;
  say(LogLevel::kInfo, Hex{id()}, " became candidate at term ", term_);
}

// Changes neither term nor vote.
void Raft::become_pre_candidate() {
  votes_.clear();
  leader_ = kNone;
  role_ = Role::kPreCandidate;
  say(LogLevel::kInfo, Hex{id()}, " became pre-candidate at term ", term_);
}

void Raft::become_leader() {
  reset(term_);
  leader_ = id();
  role_ = Role::kLeader;
  if (Progress* own = progress(id())) {
    own->become_replicate();
    own->recent_active = true;
  }
  // There may be a conf change among what is not applied yet; looking for it could be expensive.
  pending_conf_index_ = log_.last_index();
  std::vector<Entry> empty(1);
  append_entries(empty);  // has no size: never refused
  say(LogLevel::kInfo, Hex{id()}, " became leader at term ", term_);
}

void Raft::step_down() {
  if (role_ == Role::kLeader) {
    say(LogLevel::kWarn, Hex{id()}, " steps down at term ", term_, ", as its host asks");
    become_follower(term_, kNone);
  }
}

void Raft::tick() {
  ticks_++;
  if (role_ == Role::kLeader) {
    tick_leader();
  } else {
    tick_election();
  }
}

void Raft::tick_election() {
  election_elapsed_++;
  if (election_elapsed_ >= config_.election_ticks) {
    restart_lease_ = false;
  }
  if (promotable() && election_elapsed_ >= randomized_timeout_) {
    election_elapsed_ = 0;
    static_cast<void>(step({.type = MessageType::kHup, .from = id()}));
  }
}

void Raft::tick_leader() {
  heartbeat_elapsed_++;
  election_elapsed_++;
  if (election_elapsed_ >= config_.election_ticks) {
    election_elapsed_ = 0;
    if (config_.check_quorum) {
      static_cast<void>(step({.type = MessageType::kCheckQuorum, .from = id()}));
    }
    if (role_ == Role::kLeader) {
      transferee_ = kNone;  // it had its time
    }
  }
  if (role_ == Role::kLeader && heartbeat_elapsed_ >= config_.heartbeat_ticks) {
    heartbeat_elapsed_ = 0;
    static_cast<void>(step({.type = MessageType::kBeat, .from = id()}));
  }
}

}  // namespace andyx::raft
