// What must hold after every event, kept incrementally: each call costs O(1) or the number of new
// entries. It sees nodes from outside (what they write, send, apply, and report as their state) and
// throws Violation at the first breach. It never forgets what it saw, whatever crashes.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "raft/core/raw_node.h"
#include "tests/sim/disk.h"
#include "tests/sim/machine.h"

namespace andyx::raft::sim {

class Checker {
 public:
  // `durable`: the disk of a peer as it was last there (of a wiped peer: before it was wiped);
  // null: never seen. `ordered_changes`: the core checks membership changes
  // (validate_conf_changes).
  using DiskOf = std::function<const Disk*(PeerId)>;
  Checker(DiskOf durable, bool ordered_changes);

  // The group starts from this: committed, applied.
  void begin(const SnapshotMeta& meta, const Machine& machine);

  // The peer has another disk, of which nothing is promised.
  void replaced(PeerId id) { seen(id) = {}; }
  // A process starts, with what its disk kept.
  void started(PeerId id, const HardState& hard);
  // After every call into a node's core. `conf`: its membership, asked for only when it leads.
  // `last`: of its log, written or not.
  void observe(PeerId id, const HardState& hard, const SoftState& soft, Index last,
               const Disk& disk, const std::function<ConfState()>& conf);

  // Before entries are written, in the order of writing; and what then is durable.
  void writing(PeerId id, const Disk& disk, const std::vector<Entry>& entries);
  void synced(PeerId id, const Disk& disk);
  void sending(const Message& message, const Disk& disk);
  // What a leader believes of a follower's log after its answer.
  void matched(const RawNode& leader, const Disk& disk, PeerId follower);
  void installing(PeerId id, const SnapshotMeta& meta);

  void applied(PeerId id, const Entry& entry, const Machine& machine);
  void membership(PeerId id, Index index, const ConfState& conf);
  // The state machine was replaced by a snapshot's, or stands in a snapshot that was taken.
  void state_at(PeerId id, Index index, const Machine& machine, const ConfState& conf);

  // Highest index that any leader has committed.
  Index committed() const { return first_ + committed_.size() - 1; }
  std::uint64_t elections() const { return leaders_.size(); }
  // The value of a key after the entry at `index` was applied.
  std::uint64_t value_at(std::size_t key, Index index) const;
  Index applied_anywhere() const { return canonical_.applied(); }

 private:
  struct Known {
    std::uint64_t hash = 0;
    Term previous = 0;
    bool conf = false;
  };
  struct Committed {
    Term term = 0;
    std::uint64_t hash = 0;
    Term in_term = 0;              // at the latest
    std::uint64_t chain = 0;       // of the state machine, once applied anywhere
    std::uint64_t membership = 0;  // hash, once known; 0: not yet
  };
  struct Seen {
    HardState hard;
    bool up = false;
    Term led = 0;           // the newest term in which it was leader
    Index needs = 0;        // a new leader's log has to hold this entry…
    Term needs_term = 0;    // …of this term
    bool unproven = false;  // …which is checked when it has written its first entry
    Index last = 0;
    Term durable_term = 0;
    Index durable_commit = 0;
  };

  Seen& seen(PeerId id);
  Committed& at(Index index) { return committed_[index - first_]; }
  const Committed& at(Index index) const { return committed_[index - first_]; }
  void elected(PeerId id, Seen& peer, Term term, const ConfState& conf);
  bool quorum_voted(const std::vector<PeerId>& voters, Term term, PeerId vote) const;
  void prove_leader(PeerId id, Seen& peer, const Disk& disk, const Entry& entry);
  void leader_commits(PeerId id, Index index, Term term, const ConfState& conf);
  bool quorum_holds(const std::vector<PeerId>& voters, Index index, Term term) const;
  void extend(Index index, Term term, Term in_term);
  void enter(PeerId id, const Entry& entry, Term previous);
  bool holds_committed(const Disk& disk, Index index, Term by) const;
  void keeps_committed(PeerId id, const Disk& disk, const std::vector<Entry>& entries) const;
  void voted(PeerId id, Term term, PeerId vote);
  void check_chain(PeerId id, Index index, const Machine& machine) const;

  DiskOf durable_;
  bool ordered_changes_;
  Index first_ = 0;
  std::vector<Committed> committed_;  // [0] is the entry at first_
  Machine canonical_;                 // the committed log, applied once more
  std::vector<std::pair<Index, std::uint64_t>> values_[kKeys];
  std::vector<Index> conf_indexes_;                   // committed membership changes; rising
  std::unordered_map<std::uint64_t, Known> entries_;  // (index, term): log matching
  std::unordered_map<Term, PeerId> leaders_;          // election safety
  std::unordered_map<std::uint64_t, PeerId> votes_;   // (peer, term)
  std::vector<Seen> peers_;
};

}  // namespace andyx::raft::sim
