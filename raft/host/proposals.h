// Proposals under way: which became of what. Pure; the raft thread.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "raft/host/raft_host.h"

namespace andyx::raft {

class Proposals {
 public:
  // Appended by this leader at (term, index). Indexes rise, but for entries of a later term, which
  // may stand where lost ones did.
  void add(Term term, Index index, RaftHost::ProposalDone done);
  // Entry (term, index) was applied: answers what stands there, and what was lost by it.
  void applied(Term term, Index index);
  // The state machine was replaced by one that holds everything up to `index`.
  void restored(Index index);
  // This peer leads no longer: what is not decided by `deadline_ms` will be kIndeterminate.
  void leadership_lost(std::uint64_t deadline_ms);
  void expire(std::uint64_t now_ms);
  void give_up();  // all kIndeterminate

  void set_leader(PeerId leader) { leader_ = leader; }
  std::size_t size() const { return open_.size(); }

 private:
  struct Open {
    Term term;
    Index index;
    RaftHost::ProposalDone done;
    std::uint64_t deadline_ms;
  };
  void answer_front(ProposalOutcome outcome);

  std::deque<Open> open_;  // by index, then by term
  PeerId leader_ = kNone;
};

}  // namespace andyx::raft
