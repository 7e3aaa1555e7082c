#include "raft/core/quorum.h"

#include <array>

#include "raft/core/planted.h"

namespace andyx::raft {

PeerSet JointVoters::all() const {
  std::vector<PeerId> both = incoming.list();
  both.insert(both.end(), outgoing.begin(), outgoing.end());
  return PeerSet(std::move(both));
}

Index committed_index(const PeerSet& voters, const AckedIndex& acked) {
  const std::size_t count = voters.size();
  if (count == 0) {
    return kEverything;
  }
  std::array<Index, 16> few{};
  std::vector<Index> many;
  std::span<Index> sorted = std::span(few).first(std::min(count, few.size()));
  if (count > few.size()) {
    many.resize(count);
    sorted = many;
  }
  std::size_t at = 0;
  for (const PeerId voter : voters) {
    sorted[at++] = acked(voter).value_or(0);
  }
  std::ranges::sort(sorted);
  return sorted[count - (count / 2 + 1)];
}

Index committed_index(const JointVoters& voters, const AckedIndex& acked) {
  if (planted(Bug::kJointCountsIncomingOnly)) {
    return committed_index(voters.incoming, acked);
  }
  return std::min(committed_index(voters.incoming, acked), committed_index(voters.outgoing, acked));
}

VoteResult vote_result(const PeerSet& voters, const CastVote& vote) {
  if (voters.empty()) {
    return VoteResult::kWon;
  }
  std::size_t granted = 0;
  std::size_t missing = 0;
  for (const PeerId voter : voters) {
    const std::optional<bool> cast = vote(voter);
    missing += !cast ? 1 : 0;
    granted += cast.value_or(false) ? 1 : 0;
  }
  const std::size_t majority = voters.size() / 2 + 1;
  if (granted >= majority) {
    return VoteResult::kWon;
  }
  return granted + missing >= majority ? VoteResult::kPending : VoteResult::kLost;
}

VoteResult vote_result(const JointVoters& voters, const CastVote& vote) {
  const VoteResult incoming = vote_result(voters.incoming, vote);
  const VoteResult outgoing = vote_result(voters.outgoing, vote);
  if (planted(Bug::kJointCountsIncomingOnly) || incoming == outgoing) {
    return incoming;
  }
  const bool lost = incoming == VoteResult::kLost || outgoing == VoteResult::kLost;
  return lost ? VoteResult::kLost : VoteResult::kPending;
}

}  // namespace andyx::raft
