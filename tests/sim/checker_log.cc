// The part of the checker that looks at logs and state machines.
#include <algorithm>
#include <string>

#include "tests/sim/checker.h"
#include "tests/sim/violation.h"

namespace andyx::raft::sim {

namespace {

std::string place(PeerId id, Index index) {
  return "peer " + std::to_string(id) + " at index " + std::to_string(index);
}

std::uint64_t entry_key(const Entry& entry) { return entry.index << 32 | entry.term; }

}  // namespace

// Log matching by induction: entries of the same index and term have the same content and the same
// predecessor's term.
void Checker::enter(PeerId id, const Entry& entry, Term previous) {
  const Known now{
      .hash = hash_of(entry), .previous = previous, .conf = entry.type != EntryType::kNormal};
  const auto [known, first] = entries_.try_emplace(entry_key(entry), now);
  if (first && now.conf && ordered_changes_) {
    // Written first by its leader, whose log before it is what the others get.
    const Known* before = nullptr;
    Index index = entry.index - 1;
    for (Term term = previous; index > committed(); index--, term = before->previous) {
      const auto found = entries_.find(index << 32 | term);
      if (found == entries_.end()) {
        break;
      }
      before = &found->second;
      if (before->conf) {
        violated("one membership change at a time",
                 place(id, entry.index) + ": the change before it, at index " +
                     std::to_string(index) + ", is not committed");
      }
    }
  }
  if (!first && (known->second.hash != now.hash || known->second.previous != previous)) {
    violated("log matching", place(id, entry.index) + ": another entry of term " +
                                 std::to_string(entry.term) + " is known");
  }
}

// By a leader of term `by`, who has to know the entry: one of an earlier term than that in which it
// was committed need not, and a peer that is behind may still follow it.
bool Checker::holds_committed(const Disk& disk, Index index, Term by) const {
  if (index <= first_ || index > committed() || at(index).in_term > by) {
    return false;
  }
  const auto stands = disk.term(index);
  return stands && *stands == at(index).term;
}

void Checker::keeps_committed(PeerId id, const Disk& disk,
                              const std::vector<Entry>& entries) const {
  const Term by = entries.back().term;  // at least
  for (const Entry& entry : entries) {
    if (holds_committed(disk, entry.index, by) && entry.term != at(entry.index).term) {
      violated("committed entries stay",
               place(id, entry.index) + ": overwritten by term " + std::to_string(entry.term));
    }
  }
}

void Checker::writing(PeerId id, const Disk& disk, const std::vector<Entry>& entries) {
  if (entries.empty()) {
    return;
  }
  keeps_committed(id, disk, entries);
  const auto previous = disk.term(entries.front().index - 1);
  if (!previous && entries.front().index > disk.last_index() + 1) {
    violated("log matching", place(id, entries.front().index) + ": a gap in the log");
  }
  Term before = previous.value_or(0);
  bool known = previous.has_value();
  for (const Entry& entry : entries) {
    if (known) {
      enter(id, entry, before);
      if (entry.term < before) {
        violated("log matching", place(id, entry.index) + ": terms go back");
      }
    }
    prove_leader(id, seen(id), disk, entry);
    before = entry.term;
    known = true;
  }
}

// A match is a promise of the follower: it holds the leader's entry, as long as it knows of no
// later term.
void Checker::matched(const RawNode& leader, const Disk& disk, PeerId follower) {
  const Disk* const theirs = durable_(follower);
  const NodeStatus status = leader.status();
  const auto progress = status.progress.find(follower);
  if (theirs == nullptr || progress == status.progress.end() ||
      theirs->durable_hard().term > status.hard.term) {
    return;
  }
  const Index match = progress->second.match;
  const auto ours = disk.term(match);
  const auto found = theirs->durable().term(match);
  if (match > theirs->durable().last_index() || (ours && found && *ours != *found)) {
    violated("matched entries are there", place(status.id, match) + " believes that peer " +
                                              std::to_string(follower) + " holds its entry");
  }
}

void Checker::installing(PeerId id, const SnapshotMeta& meta) {
  if (meta.index > committed() || meta.index < first_ || at(meta.index).term != meta.term) {
    violated("state machine safety", place(id, meta.index) + ": a snapshot of term " +
                                         std::to_string(meta.term) + " that was never committed");
  }
}

void Checker::check_chain(PeerId id, Index index, const Machine& machine) const {
  if (machine.applied() != index || machine.chain() != at(index).chain) {
    violated("state machine safety", place(id, index) + ": its state is not what the log gives");
  }
}

void Checker::applied(PeerId id, const Entry& entry, const Machine& machine) {
  if (entry.index > committed() || entry.index <= first_) {
    violated("state machine safety", place(id, entry.index) + ": applied, not committed");
  }
  Committed& known = at(entry.index);
  if (known.term != entry.term || known.hash != hash_of(entry)) {
    violated("state machine safety", place(id, entry.index) + ": applied another entry, of term " +
                                         std::to_string(entry.term) + " instead of " +
                                         std::to_string(known.term));
  }
  if (entry.index == canonical_.applied() + 1) {
    if (canonical_.apply(entry)) {
      const Command command = *decode_command(entry.data.span());
      values_[command.key].emplace_back(entry.index, canonical_.value(command.key));
    }
    known.chain = canonical_.chain();
  }
  check_chain(id, entry.index, machine);
}

void Checker::membership(PeerId id, Index index, const ConfState& conf) {
  Committed& known = at(index);
  if (known.membership == 0) {
    known.membership = hash_of(conf);
  } else if (known.membership != hash_of(conf)) {
    violated("state machine safety", place(id, index) + ": another membership than elsewhere");
  }
}

void Checker::state_at(PeerId id, Index index, const Machine& machine, const ConfState& conf) {
  if (index > committed() || index < first_) {
    violated("state machine safety", place(id, index) + ": a state that was never committed");
  }
  check_chain(id, index, machine);
  const auto after = std::upper_bound(conf_indexes_.begin(), conf_indexes_.end(), index);
  const Index changed = after == conf_indexes_.begin() ? first_ : *std::prev(after);
  if (at(changed).membership != hash_of(conf)) {
    violated("state machine safety", place(id, index) + ": a snapshot of another membership");
  }
}

std::uint64_t Checker::value_at(std::size_t key, Index index) const {
  const auto& values = values_[key];
  const auto after =
      std::upper_bound(values.begin(), values.end(), index,
                       [](Index wanted, const std::pair<Index, std::uint64_t>& entry) {
                         return wanted < entry.first;
                       });
  return after == values.begin() ? 0 : std::prev(after)->second;
}

}  // namespace andyx::raft::sim
