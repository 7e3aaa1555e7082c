// The first state of a new group.
#pragma once

#include <functional>
#include <vector>

#include "protocol/base/error.h"
#include "raft/store/raft_store.h"

namespace andyx::raft {

// Writes a snapshot at index 1, term 1 with `voters` as configuration into an empty store: the same
// on each of them, so that they agree before they have met. A store that holds anything, and an
// empty list, change nothing. Blocks until it is durable. kBadArgument: `self` is not among them,
// or an id occurs twice or cannot be one. kIo: the disk.
Status bootstrap(RaftStore& store, PeerId self, std::vector<PeerId> voters,
                 const std::function<SharedBytes()>& initial_state);

}  // namespace andyx::raft
