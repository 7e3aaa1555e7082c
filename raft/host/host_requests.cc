// What others ask of this peer: proposals, reads, transfers, status.
#include <algorithm>
#include <utility>

#include "raft/host/host_core.h"

namespace andyx::raft {
namespace {

constexpr std::size_t kProposalsTogether = 256;
constexpr std::uint64_t kReadElections = 10;  // so many election timeouts a read may take

}  // namespace

// ---- Proposals ----

bool HostCore::can_propose() const {
  return running() && !disk_hangs_ && node_->soft_state().role == Role::kLeader &&
         store_.queued_bytes() <= options_.store.max_queued_bytes &&
         proposals_.size() < limits::kMaxRaftProposals;
}

void HostCore::refuse(RaftHost::ProposalDone& done) {
  done({.outcome = ProposalOutcome::kNotProposed, .leader = soft_.leader});
}

// Proposals of one loop turn are appended together: one write, one message for each peer.
void HostCore::propose(SharedBytes data, RaftHost::ProposalDone done) {
  deliver_ticks();  // a leader that stood still may lead no more
  if (!can_propose() || data.size() > limits::kMaxRaftEntryBytes) {
    refuse(done);
    return;
  }
  waiting_bytes_ += data.size();
  waiting_data_.push_back(std::move(data));
  waiting_done_.push_back(std::move(done));
  if (waiting_data_.size() >= kProposalsTogether || waiting_bytes_ >= limits::kMaxRaftAppendBytes) {
    propose_waiting();
  } else if (waiting_data_.size() == 1) {
    loop_.at_end_of_turn([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->propose_waiting();
    });
  }
}

void HostCore::propose_waiting() {
  if (waiting_data_.empty()) return;
  auto data = std::exchange(waiting_data_, {});
  auto dones = std::exchange(waiting_done_, {});
  waiting_bytes_ = 0;
  const bool proposed = can_propose() && node_->propose(std::move(data));
  Index index = proposed ? node_->last_index() - dones.size() : 0;
  const Term term = proposed ? node_->hard_state().term : 0;
  for (auto& done : dones) {
    if (proposed) {
      proposals_.add(term, ++index, std::move(done));
    } else {
      refuse(done);
    }
  }
  drain();
}

void HostCore::propose_conf_change(const ConfChange& change, RaftHost::ProposalDone done) {
  deliver_ticks();
  propose_waiting();
  const bool encodable = !change.v1 || change.changes.size() == 1;
  if (!can_propose() || !encodable || !leaves_voters(change)) {
    refuse(done);
    return;
  }
  drain();  // what the core appends by itself stands before it
  const Index before = node_->last_index();
  if (!node_->propose_conf_change(change) || node_->last_index() != before + 1) {
    refuse(done);
    return;
  }
  // While another change is under way the core appends an empty entry in its place.
  node_->ready(ready_);
  const auto ours = std::ranges::find(ready_.entries, before + 1, &Entry::index);
  if (ours == ready_.entries.end() || ours->type == EntryType::kNormal) {
    refuse(done);
  } else {
    proposals_.add(ours->term, ours->index, std::move(done));
  }
  draining_ = true;
  handle(ready_);
  draining_ = false;
  drain();
}

// A group without voters could decide nothing any more, not even to have one again.
bool HostCore::leaves_voters(const ConfChange& change) const {
  auto voters = node_->conf_state().voters;
  for (const ConfChangeSingle& single : change.changes) {
    if (single.type == ConfChangeType::kAddVoter && single.peer != kNone) {
      voters.push_back(single.peer);
    } else if (single.type != ConfChangeType::kUpdate) {
      std::erase(voters, single.peer);
    }
    if (is_storage_thread(single.peer)) return false;
  }
  return !voters.empty();
}

// ---- Snapshots ----

void HostCore::save_snapshot(std::move_only_function<void(Status)> done) {
  if (!running()) return done(fail(ErrorCode::kShuttingDown, "the Raft host has stopped"));
  if (applied_ == 0) return done({});  // nothing yet that it could hold
  snapshot_asked_.push_back(std::move(done));
  snapshots_.want();
  maybe_snapshot();
}

// ---- Reads ----

void HostCore::read_index(Reads::Done done) {
  deliver_ticks();
  if (reads_.size() >= limits::kMaxRaftReads) {
    done(fail(ErrorCode::kOverloaded, "too many linearizable reads wait for Raft"));
    return;
  }
  if (!running() || node_->soft_state().leader == kNone) {
    done(fail(ErrorCode::kNotMain, "no Raft leader is known to this peer"));
    return;
  }
  const auto election_ms = std::uint64_t{options_.tick_ms} * options_.election_ticks;
  reads_.add(std::move(done), loop_.now_ms() + kReadElections * election_ms);
  if (std::exchange(reads_begun_, true)) return;
  loop_.at_end_of_turn([weak = weak_from_this()] {
    auto self = weak.lock();
    if (self == nullptr || !self->running()) return;
    self->reads_begun_ = false;
    if (const auto context = self->reads_.begin_round(); context != 0) {
      self->node_->read_index(context);
    }
    self->drain();
  });
}

// ---- The rest ----

void HostCore::transfer_leader(PeerId to) {
  if (!running()) return;
  node_->transfer_leader(to);
  drain();
}

void HostCore::add_peer(const PeerAddress& peer) {
  if (running()) transport_->add_peer(peer);
}

void HostCore::remove_peer(PeerId peer) {
  if (running()) transport_->remove_peer(peer);
}

void HostCore::status(std::move_only_function<void(NodeStatus)> done) {
  done(running() ? node_->status() : NodeStatus{.id = options_.store.identity.peer});
}

void HostCore::on_leader_change(std::function<void(SoftState, Term)> changed) {
  if (!running()) return;
  changed(soft_, node_->hard_state().term);
  leader_watchers_.push_back(std::move(changed));
}

}  // namespace andyx::raft
