#include "raft/core/describe.h"
#include "raft/core/planted.h"
#include "raft/core/raft.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

bool Raft::promotable() const {
  const auto own = membership_.progress.find(id());
  return own != membership_.progress.end() && !own->second.learner && !log_.unstable().snapshot();
}

bool Raft::in_lease() const {
  if (planted(Bug::kVoteDespiteLease)) {
    return false;
  }
  return config_.check_quorum && (leader_ != kNone || restart_lease_) &&
         election_elapsed_ < config_.election_ticks;
}

// Reads in pages of what may be handed out at once.
bool Raft::unapplied_conf_changes() const {
  Index low = log_.applied() + 1;
  const Index high = log_.committed() + 1;
  while (low < high) {
    const auto page = log_.slice(low, high, log_.max_applying_bytes());
    if (!page || page->empty()) {
      config_.logger->panic(concat("error scanning unapplied entries [", low, ", ", high, ")"));
    }
    for (const Entry& entry : *page) {
      if (entry.type != EntryType::kNormal) {
        return true;
      }
    }
    low += page->size();
  }
  return false;
}

void Raft::hup(Campaign kind) {
  if (role_ == Role::kLeader) {
    say(LogLevel::kDebug, Hex{id()}, " ignoring MsgHup because already leader");
  } else if (!promotable()) {
    say(LogLevel::kWarn, Hex{id()}, " is unpromotable and can not campaign");
  } else if (unapplied_conf_changes()) {
    say(LogLevel::kWarn, Hex{id()}, " cannot campaign at term ", term_,
        " since there are still pending configuration changes to apply");
  } else {
    say(LogLevel::kInfo, Hex{id()}, " is starting a new election at term ", term_);
    campaign(kind);
  }
}

void Raft::campaign(Campaign kind) {
  const bool pre = kind == Campaign::kPreElection;
  if (pre) {
    become_pre_candidate();
  } else {
    become_candidate();
  }
  // A pre-vote asks for the next term without entering it.
  const Term term = pre ? term_ + 1 : term_;
  const MessageType ask = pre ? MessageType::kPreVote : MessageType::kVote;
  const MessageType answer = pre ? MessageType::kPreVoteReply : MessageType::kVoteReply;
  const EntryId last = log_.last();
  for (const PeerId voter : membership_.config.voters.all()) {
    if (voter == id()) {
      send({.type = answer, .to = voter, .term = term});  // counts once the vote is durable
      continue;
    }
    say(LogLevel::kInfo, Hex{id()}, " [logterm: ", last.term, ", index: ", last.index, "] sent ",
        text(ask), " request to ", Hex{voter}, " at term ", term_);
    send({.type = ask,
          .to = voter,
          .term = term,
          .log_term = last.term,
          .index = last.index,
          .transfer = kind == Campaign::kTransfer});
  }
}

// Learners vote too: one may have been promoted and not know it yet, and a majority may need it.
void Raft::consider_vote(const Message& message) {
  const bool pre = message.type == MessageType::kPreVote;
  const bool can_vote = vote_ == message.from || (vote_ == kNone && leader_ == kNone) ||
                        (pre && message.term > term_) || (planted(Bug::kVoteTwice) && !pre);
  const EntryId theirs{.term = message.log_term, .index = message.index};
  const bool granted = can_vote && (log_.up_to_date(theirs) || planted(Bug::kVoteForShorterLog));
  if (config_.logger->enabled(LogLevel::kInfo)) {
    say(LogLevel::kInfo, Hex{id()}, " ", log_position(log_.last()),
        granted ? " cast " : " rejected ", text(message.type), granted ? " for " : " from ",
        Hex{message.from}, " [logterm: ", theirs.term, ", index: ", theirs.index, "] at term ",
        term_);
  }
  // A granted pre-vote answers with the term it was asked for, or the candidate would ignore it.
  Message reply{.type = pre ? MessageType::kPreVoteReply : MessageType::kVoteReply,
                .to = message.from,
                .term = granted ? message.term : term_,
                .reject = !granted};
  if (!granted && !membership_.config.voters.contains(id()) && !config_.as_etcd) {
    reply.commit = log_.committed();  // see learn_commit
    reply.log_term = log_.term_or_zero(log_.committed());
  }
  send(std::move(reply));
  if (granted && !pre) {
    election_elapsed_ = 0;
    vote_ = message.from;
  }
}

StepResult Raft::step_candidate(Message& message) {
  const bool pre = role_ == Role::kPreCandidate;
  switch (message.type) {
    case MessageType::kPropose:
      say(LogLevel::kInfo, Hex{id()}, " no leader at term ", term_, "; dropping proposal");
      return std::unexpected(StepError::kProposalDropped);
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kSnapshot:
      become_follower(message.term, message.from);
      return follow(message);
    case MessageType::kPreVoteReply:
    case MessageType::kVoteReply:
      // Late answers to the pre-vote of this term do not count as votes.
      if ((message.type == MessageType::kPreVoteReply) == pre) {
        count_vote(message);
      }
      return {};
    case MessageType::kTimeoutNow:
      say(LogLevel::kDebug, Hex{id()}, " [term ", term_, " state ", text(role_),
          "] ignored MsgTimeoutNow from ", Hex{message.from});
      return {};
    default:
      return {};
  }
}

// Changes of membership take effect when they are applied. A removed peer with a longer log refuses
// its vote to those who stay; if none of them knows that the removal is committed, they ask for its
// vote for ever, while it does not campaign any more. So it tells them what it knows to be
// committed. False: that holds a change of membership, to be applied before anything else.
bool Raft::learn_commit(const Message& refusal) {
  if (refusal.commit <= log_.committed() ||
      !log_.matches({.term = refusal.log_term, .index = refusal.commit})) {
    return true;
  }
  log_.commit_to(refusal.commit);
  if (!unapplied_conf_changes()) {
    return true;
  }
  become_follower(term_, kNone);
  return false;
}

void Raft::count_vote(const Message& message) {
  say(LogLevel::kInfo, Hex{id()}, " received ", text(message.type),
      message.reject ? " rejection" : "", " from ", Hex{message.from}, " at term ", term_);
  if (message.reject && !learn_commit(message)) {
    return;
  }
  votes_.try_emplace(message.from, !message.reject);
  std::uint64_t granted = 0;
  std::uint64_t rejected = 0;
  for (const auto& [peer, progress] : membership_.progress) {
    const auto cast = votes_.find(peer);
    if (cast != votes_.end() && !progress.learner) {
      (cast->second ? granted : rejected)++;
    }
  }
  say(LogLevel::kInfo, Hex{id()}, " has received ", granted, " ", text(message.type), " votes and ",
      rejected, " vote rejections");
  const auto cast_by = [this](PeerId voter) -> std::optional<bool> {
    const auto cast = votes_.find(voter);
    return cast == votes_.end() ? std::nullopt : std::optional(cast->second);
  };
  switch (vote_result(membership_.config.voters, cast_by)) {
    case VoteResult::kWon:
      if (role_ == Role::kCandidate && membership_.config.voters.contains(id()) &&
          !votes_.contains(id()) && !config_.as_etcd) {
        // The term is not durable here yet, which the own vote waits for. A leader that forgot its
        // term in a crash could be elected to it again and give its indexes to other entries.
        break;
      }
      if (role_ == Role::kPreCandidate) {
        campaign(Campaign::kElection);
      } else {
        become_leader();
        broadcast_append();
      }
      break;
    case VoteResult::kLost:
      become_follower(term_, kNone);
      break;
    case VoteResult::kPending:
      break;
  }
}

}  // namespace andyx::raft
