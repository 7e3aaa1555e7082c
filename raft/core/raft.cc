#include "raft/core/raft.h"

#include <algorithm>

#include "raft/core/describe.h"
#include "raft/core/planted.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

namespace {

Config normalized(Config config) {
  if (config.max_uncommitted_bytes == 0) {
    config.max_uncommitted_bytes = kNoLimit;
  }
  if (config.max_applying_bytes == 0) {
    config.max_applying_bytes = std::max<std::uint64_t>(config.max_append_bytes, 1);
  }
  return config;
}

// Could a peer that works have sent this?
bool well_formed(const Message& message) {
  if (message.term > kMaxTerm || message.log_term > kMaxTerm) {
    return false;
  }
  if (message.type == MessageType::kSnapshot) {
    return message.snapshot != nullptr;
  }
  if (message.type == MessageType::kPropose) {
    return !message.entries.empty();
  }
  if (message.type != MessageType::kAppend) {
    return true;
  }
  EntryId previous{.term = message.log_term, .index = message.index};
  for (const Entry& entry : message.entries) {
    if (entry.index != previous.index + 1 || entry.term < previous.term ||
        (message.term != 0 && entry.term > message.term)) {
      return false;
    }
    previous = {.term = entry.term, .index = entry.index};
  }
  return true;
}

}  // namespace

Raft::Raft(const Config& config)
    : config_(normalized(config)),
      log_(*config.storage, *config.logger, config_.max_applying_bytes) {
  const LogStorage::InitialState initial = config.storage->initial_state();
  auto membership = restore_membership(initial.conf, log_.last_index(),
                                       config_.max_inflight_appends, config_.max_inflight_bytes);
  if (!membership) {
    config_.logger->panic("unable to restore config: " + membership.error());
  }
  switch_to(*std::move(membership));
  if (!initial.hard.empty()) {
    if (initial.hard.commit < log_.committed() || initial.hard.commit > log_.last_index()) {
      config_.logger->panic(concat(Hex{id()}, " state.commit ", initial.hard.commit,
                                   " is out of range [", log_.committed(), ", ", log_.last_index(),
                                   "]"));
    }
    log_.recover_committed(initial.hard.commit);
    term_ = initial.hard.term;
    vote_ = initial.hard.vote;
    restart_lease_ = config_.read_only == ReadOnly::kLease;
  }
  if (config.applied > 0) {
    log_.applied_to(config.applied, 0);
  }
  become_follower(term_, kNone);
  if (config_.logger->enabled(LogLevel::kInfo)) {
    std::string peers;
    for (const PeerId voter : membership_.config.voters.all()) {
      peers += concat(peers.empty() ? "" : ",", Hex{voter});
    }
    const EntryId last = log_.last();
    say(LogLevel::kInfo, "newRaft ", Hex{id()}, " [peers: [", peers, "], term: ", term_,
        ", commit: ", log_.committed(), ", applied: ", log_.applied(), ", lastindex: ", last.index,
        ", lastterm: ", last.term, "]");
  }
}

NodeStatus Raft::status() const {
  NodeStatus status{.id = id(),
                    .hard = hard_state(),
                    .soft = soft_state(),
                    .applied = log_.applied(),
                    .last_index = log_.last_index(),
                    .lead_transferee = transferee_,
                    .conf = membership_.config.state(),
                    .progress = {}};
  if (role_ == Role::kLeader) {
    for (const auto& [peer, progress] : membership_.progress) {
      status.progress.emplace(peer, view_of(progress));
    }
  }
  return status;
}

// A message of a higher term ends this one's; of a lower term it is ignored, or answered so that
// its sender learns of the higher.
StepResult Raft::step(Message message) {
  if (!well_formed(message)) {
    say(LogLevel::kWarn, Hex{id()}, " refused a malformed ", text(message.type), " from ",
        Hex{message.from});
    return std::unexpected(StepError::kMalformed);
  }
  if (message.term > term_) {
    if (!step_higher_term(message)) {
      return {};
    }
  } else if (message.term != 0 && message.term < term_) {
    step_lower_term(message);
    return {};
  }
  return step_in_term(message);
}

bool Raft::step_higher_term(const Message& message) {
  const bool asks_for_vote =
      message.type == MessageType::kVote || message.type == MessageType::kPreVote;
  if (asks_for_vote && !message.transfer && in_lease()) {
    // Heard from a leader within the minimum election timeout: neither the term nor the vote.
    if (config_.logger->enabled(LogLevel::kInfo)) {
      say(LogLevel::kInfo, Hex{id()}, " ", log_position(log_.last()), " ignored ",
          text(message.type), " from ", Hex{message.from}, " [logterm: ", message.log_term,
          ", index: ", message.index, "] at term ", term_,
          ": lease is not expired (remaining ticks: ", config_.election_ticks - election_elapsed_,
          ")");
    }
    return false;
  }
  if (message.type == MessageType::kPreVote ||
      (message.type == MessageType::kPreVoteReply && !message.reject)) {
    return true;  // terms that may never come
  }
  say(LogLevel::kInfo, Hex{id()}, " [term: ", term_, "] received a ", text(message.type),
      " message with higher term from ", Hex{message.from}, " [term: ", message.term, "]");
  const bool from_leader = message.type == MessageType::kAppend ||
                           message.type == MessageType::kHeartbeat ||
                           message.type == MessageType::kSnapshot;
  become_follower(message.term, from_leader ? message.from : kNone);
  return true;
}

void Raft::step_lower_term(Message& message) {
  const bool from_leader =
      message.type == MessageType::kHeartbeat || message.type == MessageType::kAppend;
  if ((config_.check_quorum || config_.pre_vote) && from_leader) {
    // With check-quorum or pre-vote a peer that has been away with a higher term cannot depose the
    // leader by asking for votes: this answer does it.
    send({.type = MessageType::kAppendReply, .to = message.from});
  } else if (message.type == MessageType::kPreVote) {
    // Without an answer, peers of which some use pre-vote could wait for each other for ever.
    if (config_.logger->enabled(LogLevel::kInfo)) {
      say(LogLevel::kInfo, Hex{id()}, " ", log_position(log_.last()), " rejected ",
          text(message.type), " from ", Hex{message.from}, " [logterm: ", message.log_term,
          ", index: ", message.index, "] at term ", term_);
    }
    send({.type = MessageType::kPreVoteReply, .to = message.from, .term = term_, .reject = true});
  } else if (message.type == MessageType::kStorageAppendReply) {
    if (message.index != 0) {
      // Later writes of this term may have overwritten these entries: see storage_append_done.
      say(LogLevel::kInfo, Hex{id()}, " [term: ", term_, "] ignored entry appends from a ",
          text(message.type), " message with lower term [term: ", message.term, "]");
    }
    if (message.snapshot) {
      applied_snapshot(*message.snapshot);  // what is committed holds in every term
    }
  } else if ((planted(Bug::kMatchFromStaleReply) && message.type == MessageType::kAppendReply) ||
             (planted(Bug::kStaleVoteCounts) && message.type == MessageType::kVoteReply)) {
    static_cast<void>(step_in_term(message));
  } else {
    say(LogLevel::kInfo, Hex{id()}, " [term: ", term_, "] ignored a ", text(message.type),
        " message with lower term from ", Hex{message.from}, " [term: ", message.term, "]");
  }
}

StepResult Raft::step_in_term(Message& message) {
  switch (message.type) {
    case MessageType::kHup:
      hup(config_.pre_vote ? Campaign::kPreElection : Campaign::kElection);
      return {};
    case MessageType::kStorageAppendReply:
      storage_append_done(message);
      return {};
    case MessageType::kStorageApplyReply:
      storage_apply_done(message);
      return {};
    case MessageType::kVote:
    case MessageType::kPreVote:
      consider_vote(message);
      return {};
    default:
      break;
  }
  switch (role_) {
    case Role::kFollower:
      return step_follower(message);
    case Role::kCandidate:
    case Role::kPreCandidate:
      return step_candidate(message);
    case Role::kLeader:
      return step_leader(message);
  }
  return {};
}

// The reply carries the term in which the write was asked for. In a later term it does not count
// (step_lower_term): the same entries may have been overwritten by another leader and written
// again, and the overwriting write may still be on its way to the disk. The writes of the later
// term confirm them.
void Raft::storage_append_done(const Message& message) {
  if (message.index != 0) {
    log_.unstable().stable_to(message.log_term, message.index);
  }
  if (message.snapshot) {
    applied_snapshot(*message.snapshot);
  }
}

void Raft::storage_apply_done(const Message& message) {
  if (message.entries.empty()) {
    return;
  }
  applied_to(message.entries.back().index, encoded_bytes(message.entries));
  uncommitted_bytes_ -= std::min(uncommitted_bytes_, payload_bytes(message.entries));
}

void Raft::applied_snapshot(const Snapshot& snapshot) {
  log_.unstable().stable_snapshot_to(snapshot.meta.index);
  applied_to(snapshot.meta.index, 0);
}

void Raft::applied_to(Index index, std::uint64_t bytes) {
  const Index applied = std::max(index, log_.applied());
  log_.applied_to(applied, bytes);
  if (!membership_.config.auto_leave || applied < pending_conf_index_ || role_ != Role::kLeader) {
    return;
  }
  // An empty change is never refused for its size; while a transfer is under way it is, and tried
  // again with the next entry that is applied.
  Message leave{.type = MessageType::kPropose};
  leave.entries.push_back({.type = EntryType::kConfChangeV2});
  if (step(std::move(leave))) {
    say(LogLevel::kInfo, "initiating automatic transition out of joint configuration ",
        membership_.config.text());
  } else {
    say(LogLevel::kDebug, "not initiating automatic transition out of joint configuration ",
        membership_.config.text(), ": ", text(StepError::kProposalDropped));
  }
}

// Votes and acknowledgements must not leave before what they stand for is durable; all rejections
// too, as they may follow from state that is not. Nor may a candidate ask: a grant for the log's
// end of now could come back after a crash that has cut it.
void Raft::send(Message message) {
  if (message.from == kNone) {
    message.from = id();
  }
  const bool election =
      message.type == MessageType::kVote || message.type == MessageType::kVoteReply ||
      message.type == MessageType::kPreVote || message.type == MessageType::kPreVoteReply;
  const bool forwarded =
      message.type == MessageType::kPropose || message.type == MessageType::kReadIndex;
  if (!election && !forwarded) {
    message.term = term_;
  }
  const bool asks = message.type == MessageType::kVote && config_.async_storage_writes;
  if (message.type == MessageType::kAppendReply || message.type == MessageType::kVoteReply ||
      message.type == MessageType::kPreVoteReply || (asks && !config_.as_etcd)) {
    messages_after_append_.push_back(std::move(message));
  } else {
    messages_.push_back(std::move(message));
  }
}

Progress* Raft::progress(PeerId peer) {
  const auto at = membership_.progress.find(peer);
  return at == membership_.progress.end() ? nullptr : &at->second;
}

Progress Raft::fresh_progress(Index next) const {
  return {next, config_.max_inflight_appends, config_.max_inflight_bytes};
}

// The leader acknowledges its own entries like a follower, once they are durable.
bool Raft::append_entries(std::vector<Entry>& entries) {
  const Index last = log_.last_index();
  for (std::size_t at = 0; at < entries.size(); at++) {
    entries[at].term = term_;
    entries[at].index = last + 1 + at;
  }
  if (!account_uncommitted(entries)) {
    say(LogLevel::kWarn, Hex{id()},
        " appending new entries to log would exceed uncommitted entry size limit; dropping "
        "proposal");
    return false;
  }
  log_.append(entries);
  send({.type = MessageType::kAppendReply, .to = id(), .index = last + entries.size()});
  return true;
}

std::string Raft::log_position(EntryId last) const {
  return concat("[logterm: ", last.term, ", index: ", last.index, ", vote: ", Hex{vote_}, "]");
}

}  // namespace andyx::raft
