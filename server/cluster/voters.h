// Which nodes vote on the metadata: an odd number up to five, replaced when they are away for long,
// and never fewer than three once there were three. Every node of the metadata role that is no
// voter is a learner, ready to take over. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/base/ids.h"

namespace andyx::server {

inline constexpr std::int64_t kReplaceVoterMs = 60'000;  // away for so long
inline constexpr std::size_t kMaxVoters = 5;

struct MetadataNode {
  NodeId node = 0;
  bool alive = false;
  bool draining = false;
  bool caught_up = false;          // its Raft peer has applied (nearly) all
  std::int64_t away_since_ms = 0;  // when it is not alive
};

struct VoterChange {
  enum class Kind : std::uint8_t {
    kAddLearner,
    kPromote,  // a learner becomes a voter
    kDemote,   // a voter becomes a learner
    kRemove,   // of either
  };
  Kind kind = Kind::kAddLearner;
  NodeId node = 0;

  bool operator==(const VoterChange&) const = default;
};

// The next change of the Raft group, or none. `nodes`: all that are registered with the metadata
// role; `self` leads, and is the last to go.
std::optional<VoterChange> next_voter_change(const std::vector<MetadataNode>& nodes,
                                             const std::vector<NodeId>& voters,
                                             const std::vector<NodeId>& learners, NodeId self,
                                             std::int64_t now_ms);

}  // namespace andyx::server
