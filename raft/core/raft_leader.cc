#include <algorithm>

#include "raft/core/describe.h"
#include "raft/core/planted.h"
#include "raft/core/raft.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

StepResult Raft::step_leader(Message& message) {
  switch (message.type) {
    case MessageType::kBeat:
      broadcast_heartbeat();
      return {};
    case MessageType::kCheckQuorum:
      check_quorum();
      return {};
    case MessageType::kPropose:
      return step_proposal(message);
    case MessageType::kReadIndex:
      step_read_index(message);
      return {};
    case MessageType::kForgetLeader:
      return {};
    default:
      break;
  }
  Progress* const from = progress(message.from);
  if (from == nullptr) {
    say(LogLevel::kDebug, Hex{id()}, " no progress available for ", Hex{message.from});
    return {};
  }
  switch (message.type) {
    case MessageType::kAppendReply:
      step_append_reply(message, *from);
      break;
    case MessageType::kHeartbeatReply:
      step_heartbeat_reply(message, *from);
      break;
    case MessageType::kSnapshotStatus:
      step_snapshot_status(message, *from);
      break;
    case MessageType::kUnreachable:
      // While appends are sent optimistically one was probably lost.
      if (from->state == ProgressState::kReplicate) {
        from->become_probe();
      }
      say(LogLevel::kDebug, Hex{id()}, " failed to send message to ", Hex{message.from},
          " because it is unreachable [", from->text(), "]");
      break;
    case MessageType::kTransferLeader:
      step_transfer(message, *from);
      break;
    default:
      break;
  }
  return {};
}

void Raft::check_quorum() {
  const auto active = [this](PeerId voter) -> std::optional<bool> {
    const auto at = membership_.progress.find(voter);
    return at != membership_.progress.end() && (voter == id() || at->second.recent_active);
  };
  if (vote_result(membership_.config.voters, active) != VoteResult::kWon) {
    say(LogLevel::kWarn, Hex{id()}, " stepped down to follower since quorum is not active");
    become_follower(term_, kNone);
  }
  for (auto& [peer, progress] : membership_.progress) {
    if (peer != id()) {
      progress.recent_active = false;
    }
  }
}

StepResult Raft::step_proposal(Message& message) {
  if (!known(id())) {
    return std::unexpected(StepError::kProposalDropped);  // removed while it led
  }
  if (transferee_ != kNone) {
    say(LogLevel::kDebug, Hex{id()}, " [term ", term_, "] transfer leadership to ",
        Hex{transferee_}, " is in progress; dropping proposal");
    return std::unexpected(StepError::kProposalDropped);
  }
  const Index before = pending_conf_index_;
  const Index last = log_.last_index();
  for (std::size_t at = 0; at < message.entries.size(); at++) {
    if (message.entries[at].type != EntryType::kNormal) {
      check_conf_change(message.entries[at], last + at + 1);
    }
  }
  if (!append_entries(message.entries)) {
    pending_conf_index_ = before;
    return std::unexpected(StepError::kProposalDropped);
  }
  broadcast_append();
  return {};
}

// One change at a time: a second one is accepted when the first is applied. What may not be is
// replaced by an empty entry, so that what was proposed with it keeps its place.
void Raft::check_conf_change(Entry& entry, Index index) {
  ConfChange change;
  const bool readable = decode(entry.type, entry.data.span(), change);
  const bool pending = pending_conf_index_ > log_.applied() && !planted(Bug::kSecondConfChange);
  const bool joint = membership_.config.voters.joint();
  const bool leaves = change.changes.empty();
  std::string refusal;
  if (!readable) {
    refusal = "not readable";
  } else if (pending) {
    refusal = concat("possible unapplied conf change at index ", pending_conf_index_,
                     " (applied to ", log_.applied(), ")");
  } else if (joint && !leaves) {
    refusal = "must transition out of joint config first";
  } else if (!joint && leaves) {
    refusal = "not in joint state; refusing empty conf change";
  }
  if (!refusal.empty() && (config_.validate_conf_changes || !readable)) {
    say(LogLevel::kInfo, Hex{id()}, " ignoring conf change ", describe(change), " at config ",
        membership_.config.text(), ": ", refusal);
    entry = {};
  } else {
    pending_conf_index_ = index;
  }
}

// Empty payloads are never refused (a new leader's entry, leaving a joint configuration), and a
// single proposal of any size is accepted when nothing else is uncommitted.
bool Raft::account_uncommitted(std::span<const Entry> entries) {
  const std::uint64_t bytes = payload_bytes(entries);
  if (uncommitted_bytes_ > 0 && bytes > 0 &&
      (bytes > config_.max_uncommitted_bytes ||
       uncommitted_bytes_ > config_.max_uncommitted_bytes - bytes)) {
    return false;
  }
  uncommitted_bytes_ += bytes;
  return true;
}

void Raft::step_append_reply(const Message& message, Progress& from) {
  from.recent_active = true;
  const bool taken = planted(Bug::kMatchFromStaleReply) && message.term < term_;
  if (message.reject && !taken) {
    append_rejected(message, from);
  } else {
    append_accepted(message, from);
  }
}

// The follower has told the greatest index at which the logs may match and its term there. No index
// with a greater term in this log can match: skip them, so that there is at most one probe for each
// term, not one for each entry.
void Raft::append_rejected(const Message& message, Progress& from) {
  say(LogLevel::kDebug, Hex{id()}, " received MsgAppResp(rejected, hint: (index ",
      message.reject_hint, ", term ", message.log_term, ")) from ", Hex{message.from},
      " for index ", message.index);
  Index probe = message.reject_hint;
  if (message.log_term > 0) {
    probe = log_.find_conflict_by_term(probe, message.log_term).index;
  }
  if (from.decrease(message.index, probe)) {
    say(LogLevel::kDebug, Hex{id()}, " decreased progress of ", Hex{message.from}, " to [",
        from.text(), "]");
    if (from.state == ProgressState::kReplicate) {
      from.become_probe();
    }
    send_append(message.from, true);
  }
}

void Raft::append_accepted(const Message& message, Progress& from) {
  if (message.index > log_.last_index()) {
    say(LogLevel::kWarn, Hex{id()}, " ignored a MsgAppResp of ", Hex{message.from}, " for index ",
        message.index, " behind the log's end");
    return;
  }
  // An answer that tells nothing new can still end a probe.
  const bool probed = from.match == message.index && from.state == ProgressState::kProbe;
  if (!from.update(message.index) && !probed) {
    return;
  }
  switch (from.state) {
    case ProgressState::kProbe:
      from.become_replicate();
      break;
    case ProgressState::kSnapshot:
      // Whatever snapshot it has applied: from here on the log suffices.
      if (from.match + 1 >= log_.first_index()) {
        say(LogLevel::kDebug, Hex{id()},
            " recovered from needing snapshot, resumed sending replication messages to ",
            Hex{message.from}, " [", from.text(), "]");
        from.become_probe();
        from.become_replicate();
      }
      break;
    case ProgressState::kReplicate:
      from.inflights.free_through(message.index);
      break;
  }
  if (try_commit()) {
    release_pending_reads();
    broadcast_append();
  } else if (message.from != id() && from.can_bump_commit(log_.committed())) {
    send_append(message.from, true);
  }
  if (message.from != id()) {
    while (send_append(message.from, false)) {
      // as much as the window takes
    }
  }
  if (message.from == transferee_ && from.match == log_.last_index()) {
    say(LogLevel::kInfo, Hex{id()}, " sent MsgTimeoutNow to ", Hex{message.from},
        " after received MsgAppResp");
    send_timeout_now(message.from);
  }
}

void Raft::step_heartbeat_reply(const Message& message, Progress& from) {
  from.recent_active = true;
  from.append_paused = false;
  from.lease_tick = std::max(from.lease_tick, std::min(message.tick, ticks_));
  // Also in a full window: if all of it was lost, an empty append finds out.
  if (from.match < log_.last_index() || from.state == ProgressState::kProbe) {
    send_append(message.from, true);
  }
  if (message.context != 0) {
    reads_.acknowledge(message.from, message.context);
    confirm_reads();
  }
}

void Raft::step_snapshot_status(const Message& message, Progress& from) {
  if (from.state != ProgressState::kSnapshot) {
    return;
  }
  if (message.reject) {
    from.pending_snapshot = 0;  // before probing: else from behind what never arrived
  }
  from.become_probe();
  say(LogLevel::kDebug, Hex{id()}, message.reject ? " snapshot failed" : " snapshot succeeded",
      ", resumed sending replication messages to ", Hex{message.from}, " [", from.text(), "]");
  // Wait: for the acknowledgement, or for a heartbeat interval before the next try.
  from.append_paused = true;
}

void Raft::step_transfer(const Message& message, const Progress& to) {
  if (to.learner) {
    say(LogLevel::kDebug, Hex{id()}, " is learner. Ignored transferring leadership");
    return;
  }
  const PeerId target = message.from;
  if (transferee_ == target) {
    say(LogLevel::kInfo, Hex{id()}, " [term ", term_, "] transfer leadership to ", Hex{target},
        " is in progress, ignores request to same node ", Hex{target});
    return;
  }
  if (transferee_ != kNone) {
    say(LogLevel::kInfo, Hex{id()}, " [term ", term_,
        "] abort previous transferring leadership to ", Hex{transferee_});
    transferee_ = kNone;
  }
  if (target == id()) {
    say(LogLevel::kDebug, Hex{id()}, " is already leader. Ignored transferring leadership to self");
    return;
  }
  say(LogLevel::kInfo, Hex{id()}, " [term ", term_, "] starts to transfer leadership to ",
      Hex{target});
  election_elapsed_ = 0;  // it has one election timeout
  transferee_ = target;
  if (to.match == log_.last_index()) {
    send_timeout_now(target);
    say(LogLevel::kInfo, Hex{id()}, " sends MsgTimeoutNow to ", Hex{target}, " immediately as ",
        Hex{target}, " already has up-to-date log");
  } else {
    send_append(target, true);
  }
}

bool Raft::try_commit() {
  const auto matched = [this](PeerId voter) -> std::optional<Index> {
    const auto at = membership_.progress.find(voter);
    return at == membership_.progress.end() ? std::nullopt : std::optional(at->second.match);
  };
  JointVoters voters = membership_.config.voters;
  if (planted(Bug::kLearnerCounts)) {
    for (const PeerId learner : membership_.config.learners) {
      voters.incoming.insert(learner);
    }
  }
  return log_.try_commit({.term = term_, .index = committed_index(voters, matched)});
}

}  // namespace andyx::raft
