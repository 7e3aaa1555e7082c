#include "raft/core/planted.h"
#include "raft/core/raft.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

bool Raft::committed_in_this_term() const { return log_.term_or_zero(log_.committed()) == term_; }

// Linearizable reads (thesis, section 6.4): not before this leader knows what is committed, which
// takes an entry of its own term.
void Raft::step_read_index(const Message& message) {
  const JointVoters& voters = membership_.config.voters;
  const bool alone = voters.incoming.size() == 1 && !voters.joint() && voters.contains(id());
  if (!committed_in_this_term()) {
    if (pending_reads_.size() < kMaxWaitingReads) {
      pending_reads_.push_back(message);
    }
    return;
  }
  const bool leased = config_.read_only == ReadOnly::kLease && lease_holds();
  if (alone || leased || planted(Bug::kReadWithoutRound)) {
    answer_read(message.from, message.context, log_.committed());
    return;
  }
  if (reads_.waiting() >= kMaxWaitingReads) {
    return;
  }
  reads_.add({.from = message.from, .context = message.context, .index = log_.committed()});
  reads_.acknowledge(id(), reads_.round());
  broadcast_heartbeat();
}

void Raft::confirm_reads() {
  for (const ReadOnlyRounds::Request& read : reads_.take_confirmed(membership_.config.voters)) {
    answer_read(read.from, read.context, read.index);
  }
}

void Raft::answer_read(PeerId from, std::uint64_t context, Index index) {
  if (from == kNone || from == id()) {
    read_states_.push_back({.index = index, .context = context});
  } else {
    send({.type = MessageType::kReadIndexReply, .to = from, .index = index, .context = context});
  }
}

void Raft::release_pending_reads() {
  if (pending_reads_.empty() || !committed_in_this_term()) {
    return;
  }
  std::vector<Message> reads;
  reads.swap(pending_reads_);
  for (const Message& read : reads) {
    step_read_index(read);
  }
}

// Has a quorum promised, by answering heartbeats sent at most so long ago, not to elect another
// leader yet? Counted from when the heartbeat was sent. Two ticks less than the followers' timeout,
// because ticks are not in phase, and a tenth less for clocks that drift. A leader that has told
// another peer to campaign has no lease any more in this term: such a campaign ignores leases.
bool Raft::lease_holds() const {
  const std::uint64_t margin = 2 + config_.election_ticks / 10;
  if (config_.election_ticks <= margin || (lease_void_ && !planted(Bug::kLeaseReadAfterTransfer))) {
    return false;
  }
  const auto answered = [this](PeerId voter) -> std::optional<Index> {
    const auto at = membership_.progress.find(voter);
    if (at == membership_.progress.end()) {
      return std::nullopt;
    }
    return voter == id() ? ticks_ : at->second.lease_tick;
  };
  const std::uint64_t since = committed_index(membership_.config.voters, answered);
  return since > 0 && ticks_ - since < config_.election_ticks - margin;
}

}  // namespace andyx::raft
