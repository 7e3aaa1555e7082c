// What is committed, and who has to hold it: the in-sync set and its changes.
#include <algorithm>

#include "protocol/base/planted.h"
#include "server/replication/main_core.h"

namespace andyx::server {

// Only what the metadata says counts towards min-in-sync (2).
std::size_t MainCore::counted_members() const {
  return record_.in_sync.size() + (planted(PlantedBug::kGrowBeforeMetadata) ? joiners_.size() : 0);
}

// Everybody who may be in the set as the controller knows it: the set that the image shows, and
// whoever was proposed since (3).
bool MainCore::required(NodeId node) const {
  if (planted(PlantedBug::kShrinkBeforeMetadata) && pending_ &&
      std::ranges::find(pending_->in_sync, node, &SetProposal::Member::node) ==
          pending_->in_sync.end())
    return false;
  if (record_.is_in_sync(node) || node == admitted_) return true;
  return std::ranges::find(joiners_, node) != joiners_.end() &&
         !planted(PlantedBug::kJoinerNotRequired);
}

bool MainCore::waits_for(NodeId replica) const {
  return required(replica) || counted_members() < record_.min_in_sync;
}

void MainCore::advance_committed(std::uint64_t now_ms) {
  if (resigned_) return;
  if (counted_members() < record_.min_in_sync && !planted(PlantedBug::kCommitBelowMinInSync))
    return;
  Offset committed = copy_.durable;
  for (const Peer& peer : peers_) {
    if (!required(peer.node)) continue;
    if (!peer.matched && !planted(PlantedBug::kUnmatchedCounts)) return;
    committed = std::min(committed, peer.durable);
  }
  if (committed > copy_.committed) {
    copy_.committed = committed;
    committed_moved(now_ms);
  }
  if (!serving_ && copy_.committed >= election_end_ && record_.is_in_sync(self_)) {
    serving_ = true;
    actions_.emplace_back(ServingBegins{});
  }
}

void MainCore::committed_moved(std::uint64_t now_ms) {
  actions_.emplace_back(CommittedMoved{copy_.committed});
  answer_waiters(quorum_waiters_, copy_.committed, false, now_ms);
  wake_parked(now_ms, false);
}

std::uint64_t MainCore::lag_ms(const Peer& peer, std::uint64_t now_ms) const {
  return now_ms > peer.caught_up_ms && peer.durable < copy_.end ? now_ms - peer.caught_up_ms : 0;
}

bool MainCore::must_leave(NodeId node, std::uint64_t now_ms) const {
  const Peer* peer = find_peer(node);
  const ReplicaMember* member = record_.find(node);
  if (peer == nullptr || member == nullptr || member->observer || !member->alive) return true;
  if (!peer->matched) return now_ms - peer->caught_up_ms > options_.max_lag_ms;
  return lag_ms(*peer, now_ms) > options_.max_lag_ms;
}

// Has it kept up, for long enough? Where copies are missing nothing is waited for.
bool MainCore::may_join(Peer& peer, std::uint64_t now_ms) {
  const ReplicaMember* member = record_.find(peer.node);
  const bool keeps_up = member != nullptr && member->alive && !member->observer && peer.matched &&
                        lag_ms(peer, now_ms) <= options_.join_lag_ms;
  if (!keeps_up) {
    peer.joinable_since_ms.reset();
    return false;
  }
  if (!peer.joinable_since_ms) peer.joinable_since_ms = now_ms;
  return record_.in_sync.size() < record_.min_in_sync ||
         now_ms - *peer.joinable_since_ms >= options_.join_after_ms;
}

// It has to hold all that was ever committed. The new main does not know how much that is until its
// log end at election is committed, but it is not more than that (4).
bool MainCore::holds_enough(const Peer& peer) const {
  const Offset needed = planted(PlantedBug::kJoinsBelowElectionEnd)
                            ? copy_.committed
                            : std::max(copy_.committed, election_end_);
  return peer.durable >= needed;
}

void MainCore::change_set(std::uint64_t now_ms) {
  if (resigned_) return;
  if (pending_) {
    pursue_pending(now_ms);
    if (!planted(PlantedBug::kTwoPendingChanges)) return;
  }
  std::vector<NodeId> members;
  for (const NodeId node : record_.in_sync) {
    if (node == self_ || !must_leave(node, now_ms)) members.push_back(node);
  }
  if (members.size() < record_.in_sync.size()) {
    admitted_ = 0;
    propose(members, now_ms);
    return advance_committed(now_ms);
  }
  admit(now_ms);
  const Peer* joiner = find_peer(admitted_);
  if (joiner == nullptr || !holds_enough(*joiner)) return;
  joiners_.push_back(admitted_);
  members.push_back(std::exchange(admitted_, 0));
  propose(members, now_ms);
}

// While writes go on, a replica that keeps up is still always a moment behind what is committed
// without it. So commits wait for it first; when it holds all, it is proposed.
void MainCore::admit(std::uint64_t now_ms) {
  const NodeId before = std::exchange(admitted_, 0);
  for (Peer& peer : peers_) {
    if (record_.is_in_sync(peer.node) || std::ranges::find(joiners_, peer.node) != joiners_.end())
      continue;
    // All are looked at, for the time that they have kept up.
    if (may_join(peer, now_ms) && (admitted_ == 0 || peer.node == before)) admitted_ = peer.node;
  }
  if (before != 0 && admitted_ != before) advance_committed(now_ms);
}

// Its outcome is not known. A joiner that cannot join any more would hold up every commit: so the
// set as it is is proposed for the same version, and one of the two comes to pass.
void MainCore::pursue_pending(std::uint64_t now_ms) {
  for (const NodeId joiner : joiners_) {
    const Peer* peer = find_peer(joiner);
    const auto named = std::ranges::find(pending_->in_sync, joiner, &SetProposal::Member::node);
    if (named == pending_->in_sync.end()) continue;  // withdrawn already
    const bool as_proposed = peer != nullptr && peer->incarnation == named->incarnation;
    if (as_proposed && !must_leave(joiner, now_ms)) continue;
    return propose(record_.in_sync, now_ms);
  }
  if (now_ms - proposed_ms_ < options_.proposal_retry_ms) return;
  std::vector<NodeId> members;  // who has restarted meanwhile is proposed in its new life
  for (const SetProposal::Member& member : pending_->in_sync) members.push_back(member.node);
  propose(members, now_ms);
}

void MainCore::propose(const std::vector<NodeId>& members, std::uint64_t now_ms) {
  SetProposal proposal{
      .main = self_, .main_epoch = epoch_, .version = record_.version, .in_sync = {}};
  for (const NodeId node : members)
    proposal.in_sync.push_back({.node = node, .incarnation = record_.find(node)->incarnation});
  if (planted(PlantedBug::kTwoPendingChanges))
    std::erase_if(joiners_,
                  [&](NodeId node) { return std::ranges::find(members, node) == members.end(); });
  pending_ = std::move(proposal);
  proposed_ms_ = now_ms;
  actions_.emplace_back(ProposeSet{*pending_});
}

}  // namespace andyx::server
