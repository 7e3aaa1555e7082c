#include "tests/sim/checker.h"

#include <algorithm>
#include <string>
#include <utility>

#include "tests/sim/violation.h"

namespace andyx::raft::sim {

namespace {

std::uint64_t pair_key(std::uint64_t high, std::uint64_t low) { return high << 32 | low; }

std::string say(PeerId id) { return "peer " + std::to_string(id); }

std::string say(const char* what, std::uint64_t value) {
  return std::string(" ") + what + " " + std::to_string(value);
}

}  // namespace

Checker::Checker(DiskOf durable, bool ordered_changes)
    : durable_(std::move(durable)), ordered_changes_(ordered_changes) {}

Checker::Seen& Checker::seen(PeerId id) {
  if (peers_.size() <= id) {
    peers_.resize(id + 1);
  }
  return peers_[id];
}

void Checker::begin(const SnapshotMeta& meta, const Machine& machine) {
  first_ = meta.index;
  canonical_ = machine;
  committed_.assign(1, Committed{.term = meta.term,
                                 .in_term = meta.term,
                                 .chain = machine.chain(),
                                 .membership = hash_of(meta.conf)});
}

void Checker::started(PeerId id, const HardState& hard) {
  Seen& peer = seen(id);
  if (hard.term < peer.durable_term) {
    violated("monotonic term", say(id) + " came back in" + say("term", hard.term) + ", synced was" +
                                   say("term", peer.durable_term));
  }
  if (hard.commit < peer.durable_commit) {
    violated("monotonic commit", say(id) + " came back with" + say("commit", hard.commit) +
                                     ", synced was" + say("commit", peer.durable_commit));
  }
  if (hard.commit > committed()) {
    violated("state machine safety", say(id) + " came back with" + say("commit", hard.commit) +
                                         ", committed is" + say("index", committed()));
  }
  peer.hard = hard;
  peer.led = 0;
  peer.unproven = false;
  peer.last = 0;
}

void Checker::observe(PeerId id, const HardState& hard, const SoftState& soft, Index last,
                      const Disk& disk, const std::function<ConfState()>& conf) {
  Seen& peer = seen(id);
  if (hard.term < peer.hard.term) {
    violated("monotonic term",
             say(id) + " went from" + say("term", peer.hard.term) + " to" + say("term", hard.term));
  }
  if (hard.commit < peer.hard.commit) {
    violated("monotonic commit", say(id) + " went from" + say("commit", peer.hard.commit) + " to" +
                                     say("commit", hard.commit));
  }
  if (hard.term == peer.hard.term && peer.hard.vote != kNone && hard.vote != peer.hard.vote) {
    violated("one vote a term", say(id) + " changed its vote in" + say("term", hard.term) +
                                    " from" + say("peer", peer.hard.vote) + " to" +
                                    say("peer", hard.vote));
  }
  const bool led = peer.led == hard.term && peer.led != 0;
  if (soft.role == Role::kLeader && !led) {
    elected(id, peer, hard.term, conf());
  }
  if (hard.commit > peer.hard.commit) {
    if (soft.role == Role::kLeader || led) {
      leader_commits(id, hard.commit, hard.term, conf());
    } else if (hard.commit > committed()) {
      violated("leader completeness", say(id) + " follows with" + say("commit", hard.commit) +
                                          ", leaders committed up to" + say("index", committed()));
    }
  }
  if (last < peer.last && holds_committed(disk, last + 1, hard.term)) {
    violated("committed entries stay",
             say(id) + " cut off" + say("index", last + 1) + " in" + say("term", hard.term));
  }
  peer.last = last;
  peer.hard = hard;
}

bool Checker::quorum_voted(const std::vector<PeerId>& voters, Term term, PeerId vote) const {
  std::size_t count = 0;
  for (const PeerId voter : voters) {
    const auto cast = votes_.find(pair_key(voter, term));
    count += cast != votes_.end() && cast->second == vote ? 1 : 0;
  }
  return voters.empty() || count > voters.size() / 2;
}

void Checker::elected(PeerId id, Seen& peer, Term term, const ConfState& conf) {
  const auto [leader, first] = leaders_.try_emplace(term, id);
  if (!first && leader->second != id) {
    violated("election safety",
             say(id) + " and" + say("peer", leader->second) + " both lead" + say("term", term));
  }
  if (!quorum_voted(conf.voters, term, id) || !quorum_voted(conf.voters_outgoing, term, id)) {
    violated("elected by a quorum", say(id) + " leads" + say("term", term) + " without its votes");
  }
  peer.led = term;
  Index last = committed();
  while (last > first_ && at(last).in_term > term) {
    last--;
  }
  peer.needs = last;
  peer.needs_term = at(last).term;
  peer.unproven = true;
}

// A leader's log is known when it has written the first entry of its term: by log matching it is
// enough to look at the last entry that it has to hold.
void Checker::prove_leader(PeerId id, Seen& peer, const Disk& disk, const Entry& entry) {
  if (!peer.unproven || entry.term != peer.led) {
    return;
  }
  peer.unproven = false;
  if (peer.needs >= entry.index) {
    violated("leader completeness", say(id) + " leads" + say("term", entry.term) + " from" +
                                        say("index", entry.index) + ", committed before was" +
                                        say("index", peer.needs));
  }
  const auto term = disk.term(peer.needs);
  if (term ? *term != peer.needs_term : peer.needs > disk.last_index()) {
    violated("leader completeness", say(id) + " leads" + say("term", entry.term) +
                                        " without the committed entry at" +
                                        say("index", peer.needs));
  }
}

void Checker::leader_commits(PeerId id, Index index, Term term, const ConfState& conf) {
  if (index <= committed()) {
    return;
  }
  const bool held =
      quorum_holds(conf.voters, index, term) &&
      (conf.voters_outgoing.empty() || quorum_holds(conf.voters_outgoing, index, term));
  if (!held) {
    violated("commit by a quorum", say(id) + " committed" + say("index", index) + " in" +
                                       say("term", term) +
                                       ": no durable entry of this term on a quorum");
  }
  extend(index, term, term);
}

bool Checker::quorum_holds(const std::vector<PeerId>& voters, Index index, Term term) const {
  std::size_t holders = 0;
  for (const PeerId voter : voters) {
    const Disk* disk = durable_(voter);
    if (disk != nullptr) {
      const auto found = disk->durable().term(index);
      holders += found && *found == term ? 1 : 0;
    }
  }
  return holders > voters.size() / 2;
}

// The committed log up to (index, term), found backwards along the entries' predecessors.
void Checker::extend(Index index, Term term, Term in_term) {
  const Index before = committed();
  const std::size_t changes = conf_indexes_.size();
  committed_.resize(index - first_ + 1);
  Term next = term;
  for (Index i = index; i > before; i--) {
    const auto known = entries_.find(pair_key(i, next));
    if (known == entries_.end()) {
      violated("log matching", "nobody wrote the committed entry at" + say("index", i));
    }
    at(i) = {.term = next, .hash = known->second.hash, .in_term = in_term};
    if (known->second.conf) {
      conf_indexes_.push_back(i);
    }
    next = known->second.previous;
  }
  std::reverse(conf_indexes_.begin() + static_cast<std::ptrdiff_t>(changes), conf_indexes_.end());
  if (next != at(before).term) {
    violated("leader completeness", "the entry at" + say("index", before) + ", committed in" +
                                        say("term", at(before).term) + ", was replaced by one of" +
                                        say("term", next));
  }
}

void Checker::voted(PeerId id, Term term, PeerId vote) {
  if (vote == kNone) {
    return;
  }
  const auto [known, first] = votes_.try_emplace(pair_key(id, term), vote);
  if (!first && known->second != vote) {
    violated("one vote a term", say(id) + " voted for" + say("peer", known->second) + " and" +
                                    say("peer", vote) + " in" + say("term", term));
  }
}

void Checker::synced(PeerId id, const Disk& disk) {
  const HardState& hard = disk.durable_hard();
  Seen& peer = seen(id);
  peer.durable_term = std::max(peer.durable_term, hard.term);
  peer.durable_commit = std::max(peer.durable_commit, hard.commit);
  voted(id, hard.term, hard.vote);
}

void Checker::sending(const Message& message, const Disk& disk) {
  if (message.reject) {
    return;
  }
  const HardState& hard = disk.durable_hard();
  if (message.type == MessageType::kVoteReply) {
    voted(message.from, message.term, message.to);
    if (hard.term < message.term || (hard.term == message.term && hard.vote != message.to)) {
      violated("persist before send", say(message.from) + " grants a vote in" +
                                          say("term", message.term) + " that is not durable");
    }
  }
  // In a later term the entries may be gone again, overwritten in the same sync: the old leader is
  // told the truth of then, and cannot commit by it, because the new one was elected without them.
  if (message.type == MessageType::kAppendReply &&
      (hard.term < message.term ||
       (hard.term == message.term && disk.durable().last_index() < message.index))) {
    violated("persist before send", say(message.from) + " acknowledges" +
                                        say("index", message.index) + " in" +
                                        say("term", message.term) + " that is not durable");
  }
}

}  // namespace andyx::raft::sim
