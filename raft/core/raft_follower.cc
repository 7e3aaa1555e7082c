#include <algorithm>

#include "raft/core/describe.h"
#include "raft/core/planted.h"
#include "raft/core/raft.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

StepResult Raft::step_follower(Message& message) {
  switch (message.type) {
    case MessageType::kPropose:
      if (leader_ == kNone) {
        say(LogLevel::kInfo, Hex{id()}, " no leader at term ", term_, "; dropping proposal");
        return std::unexpected(StepError::kProposalDropped);
      }
      if (!config_.forward_proposals) {
        say(LogLevel::kInfo, Hex{id()}, " not forwarding to leader ", Hex{leader_}, " at term ",
            term_, "; dropping proposal");
        return std::unexpected(StepError::kProposalDropped);
      }
      message.to = leader_;
      send(std::move(message));
      return {};
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kSnapshot:
      election_elapsed_ = 0;
      restart_lease_ = false;
      leader_ = message.from;
      return follow(message);
    case MessageType::kTransferLeader:
    case MessageType::kReadIndex:
      if (leader_ == kNone) {
        say(LogLevel::kInfo, Hex{id()}, " no leader at term ", term_, "; dropping ",
            message.type == MessageType::kReadIndex ? "index reading msg" : "leader transfer msg");
        return {};
      }
      message.to = leader_;
      send(std::move(message));
      return {};
    case MessageType::kReadIndexReply:
      read_states_.push_back({.index = message.index, .context = message.context});
      return {};
    case MessageType::kForgetLeader:
      if (config_.read_only == ReadOnly::kLease) {
        say(LogLevel::kError, "ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
      } else if (leader_ != kNone) {
        say(LogLevel::kInfo, Hex{id()}, " forgetting leader ", Hex{leader_}, " at term ", term_);
        leader_ = kNone;
      }
      return {};
    case MessageType::kTimeoutNow:
      say(LogLevel::kInfo, Hex{id()}, " [term ", term_, "] received MsgTimeoutNow from ",
          Hex{message.from}, " and starts an election to get leadership.");
      // Without a pre-vote: this peer has not been away.
      hup(Campaign::kTransfer);
      return {};
    default:
      return {};
  }
}

StepResult Raft::follow(Message& message) {
  switch (message.type) {
    case MessageType::kAppend:
      return handle_append(message);
    case MessageType::kHeartbeat:
      return handle_heartbeat(message);
    default:
      handle_snapshot(message);
      return {};
  }
}

StepResult Raft::handle_append(const Message& message) {
  if (message.index < log_.committed()) {
    send({.type = MessageType::kAppendReply, .to = message.from, .index = log_.committed()});
    return {};
  }
  const auto appended = log_.try_append({.term = message.log_term, .index = message.index},
                                        message.entries, message.commit);
  if (appended) {
    send({.type = MessageType::kAppendReply, .to = message.from, .index = *appended});
    return {};
  }
  if (appended.error() == RaftLog::Refusal::kConflictsCommitted) {
    say(LogLevel::kError, Hex{id()}, " [committed: ", log_.committed(), "] refused a MsgApp of ",
        Hex{message.from}, " that conflicts with committed entries");
    return std::unexpected(StepError::kContradiction);
  }
  say(LogLevel::kDebug, Hex{id()}, " [logterm: ", log_.term_or_zero(message.index),
      ", index: ", message.index, "] rejected MsgApp [logterm: ", message.log_term,
      ", index: ", message.index, "] from ", Hex{message.from});
  // The hint: the greatest index at which the logs can match, as no entry of the leader up to there
  // has a term over log_term. See append_rejected for the other half.
  const EntryId hint =
      log_.find_conflict_by_term(std::min(message.index, log_.last_index()), message.log_term);
  send({.type = MessageType::kAppendReply,
        .to = message.from,
        .log_term = hint.term,
        .index = message.index,
        .reject = true,
        .reject_hint = hint.index});
  return {};
}

StepResult Raft::handle_heartbeat(const Message& message) {
  if (message.commit > log_.last_index()) {
    say(LogLevel::kError, Hex{id()}, " [lastindex: ", log_.last_index(),
        "] refused a heartbeat of ", Hex{message.from}, " that says ", message.commit,
        " is committed and stored here");
    return std::unexpected(StepError::kContradiction);
  }
  log_.commit_to(message.commit);
  send({.type = MessageType::kHeartbeatReply,
        .to = message.from,
        .context = message.context,
        .tick = message.tick});
  return {};
}

void Raft::handle_snapshot(const Message& message) {
  const SnapshotMeta& meta = message.snapshot->meta;
  const bool restored = restore(message.snapshot);
  say(LogLevel::kInfo, Hex{id()}, " [commit: ", log_.committed(), "] ",
      restored ? "restored" : "ignored", " snapshot [index: ", meta.index, ", term: ", meta.term,
      "]");
  send({.type = MessageType::kAppendReply,
        .to = message.from,
        .index = restored ? log_.last_index() : log_.committed()});
}

// False: not needed, or not for this peer.
bool Raft::restore(const SnapshotPtr& snapshot) {
  const SnapshotMeta& meta = snapshot->meta;
  if (meta.index <= log_.committed()) {
    return false;
  }
  const auto holds = [this](const std::vector<PeerId>& peers) {
    return std::ranges::find(peers, id()) != peers.end();
  };
  if (!holds(meta.conf.voters) && !holds(meta.conf.learners) && !holds(meta.conf.voters_outgoing)) {
    say(LogLevel::kWarn, Hex{id()},
        " attempted to restore snapshot but it is not in the ConfState ", describe(meta.conf),
        "; should never happen");
    return false;
  }
  if (log_.applying() > log_.applied() && !config_.as_etcd) {
    // The host is applying older entries. A membership change among them would be applied to the
    // snapshot's membership, which holds it already. The leader will send the snapshot again.
    say(LogLevel::kInfo, Hex{id()}, " ignored a snapshot while entries up to ", log_.applying(),
        " are being applied (applied: ", log_.applied(), ")");
    return false;
  }
  const bool have = planted(Bug::kSnapshotKeepsDivergent)
                        ? meta.index <= log_.last_index()
                        : log_.matches({.term = meta.term, .index = meta.index});
  if (have) {
    const EntryId last = log_.last();
    say(LogLevel::kInfo, Hex{id()}, " [commit: ", log_.committed(), ", lastindex: ", last.index,
        ", lastterm: ", last.term, "] fast-forwarded commit to snapshot [index: ", meta.index,
        ", term: ", meta.term, "]");
    log_.commit_to(meta.index);
    return false;
  }
  auto membership = restore_membership(meta.conf, meta.index, config_.max_inflight_appends,
                                       config_.max_inflight_bytes);
  if (!membership) {
    config_.logger->panic("unable to restore config: " + membership.error());
  }
  log_.restore(snapshot);
  switch_to(*std::move(membership));
  const EntryId last = log_.last();
  say(LogLevel::kInfo, Hex{id()}, " [commit: ", log_.committed(), ", lastindex: ", last.index,
      ", lastterm: ", last.term, "] restored snapshot [index: ", meta.index, ", term: ", meta.term,
      "]");
  return true;
}

}  // namespace andyx::raft
