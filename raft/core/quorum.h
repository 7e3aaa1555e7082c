// What a majority, or two joint majorities, have agreed on. Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "raft/core/peer_set.h"

namespace andyx::raft {

// What is known of one voter; nothing is different from 0.
using AckedIndex = std::function<std::optional<Index>(PeerId)>;
using CastVote = std::function<std::optional<bool>(PeerId)>;

enum class VoteResult : std::uint8_t { kPending, kLost, kWon };

inline constexpr Index kEverything = UINT64_MAX;  // what an empty majority has agreed on

// Both majorities have to agree; an empty one always does. `outgoing` is set while joint.
struct JointVoters {
  PeerSet incoming;
  PeerSet outgoing;

  bool joint() const { return !outgoing.empty(); }
  bool contains(PeerId peer) const { return incoming.contains(peer) || outgoing.contains(peer); }
  PeerSet all() const;
  bool operator==(const JointVoters&) const = default;
};

// The highest index that the majority has acknowledged. Allocates nothing up to 16 voters.
Index committed_index(const PeerSet& voters, const AckedIndex& acked);
Index committed_index(const JointVoters& voters, const AckedIndex& acked);

VoteResult vote_result(const PeerSet& voters, const CastVote& vote);
VoteResult vote_result(const JointVoters& voters, const CastVote& vote);

}  // namespace andyx::raft
