#include "raft/host/proposals.h"

#include <limits>

namespace andyx::raft {

namespace {
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
}

void Proposals::add(Term term, Index index, RaftHost::ProposalDone done) {
  Open open{.term = term, .index = index, .done = std::move(done), .deadline_ms = kNever};
  auto at = open_.end();
  while (at != open_.begin() && std::prev(at)->index > index) --at;
  open_.insert(at, std::move(open));
}

void Proposals::applied(Term term, Index index) {
  while (!open_.empty() && open_.front().index <= index) {
    const Open& front = open_.front();
    const bool stands = front.index == index && front.term == term;
    answer_front(stands ? ProposalOutcome::kApplied : ProposalOutcome::kLost);
  }
}

void Proposals::restored(Index index) {
  while (!open_.empty() && open_.front().index <= index) {
    answer_front(ProposalOutcome::kIndeterminate);
  }
}

void Proposals::leadership_lost(std::uint64_t deadline_ms) {
  for (Open& open : open_) open.deadline_ms = std::min(open.deadline_ms, deadline_ms);
}

void Proposals::expire(std::uint64_t now_ms) {
  for (std::size_t i = 0; i < open_.size();) {
    if (open_[i].deadline_ms > now_ms) {
      ++i;
      continue;
    }
    auto done = std::move(open_[i].done);
    const Index index = open_[i].index;
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
    done({.outcome = ProposalOutcome::kIndeterminate, .index = index, .leader = leader_});
  }
}

void Proposals::give_up() {
  while (!open_.empty()) answer_front(ProposalOutcome::kIndeterminate);
}

// Taken out first: the callback may come back.
void Proposals::answer_front(ProposalOutcome outcome) {
  auto front = std::move(open_.front());
  open_.pop_front();
  front.done({.outcome = outcome, .index = front.index, .leader = leader_});
}

}  // namespace andyx::raft
