// What the controller may do to a partition's record: who is in the in-sync set, who is main. Pure
// functions of the record; each leaves it whole, and raises version and epoch as it has to. Called
// where commands are applied to the image, so they are deterministic.
#pragma once

#include "protocol/base/error.h"
#include "server/replication/replication_record.h"

namespace andyx::server {

// A main's proposal. kNotMain: of another epoch, version or node. kNotInSync: a member is dead, of
// another incarnation, an observer, not a replica, named twice, or the main itself is missing. The
// record is unchanged then.
Status change_in_sync(ReplicationRecord& record, const SetProposal& proposal);

// The controller has given up the session of `node`: it leaves the set at once. Where it was main,
// another one is elected, or there is none for now.
void session_lost(ReplicationRecord& record, NodeId node);

// `node` has registered with a new incarnation. `intact`: it is the disk that it had, and what was
// durable there still is; otherwise it leaves the set and is not eligible any more. A main goes on
// under a new epoch only. Elects a main where there was none.
void node_registered(ReplicationRecord& record, NodeId node, Incarnation incarnation, bool intact);

// The session of a node's present incarnation stands again (or still).
void session_found(ReplicationRecord& record, NodeId node);

// Makes `node` main under the next epoch (a planned move, or away from a main whose replicas cannot
// reach it). kNotInSync: it is not alive, or neither in the in-sync set nor eligible.
Status elect_main(ReplicationRecord& record, NodeId node);

// The same, wanted or not: any copy that is alive, with whatever its log holds. Loses data.
// An observer is one no longer.
// kBadArgument: not a copy, or dead.
Status force_main(ReplicationRecord& record, NodeId node);

// `wanted` becomes the record's min-in-sync; a higher one not before the set has so many members,
// so that raising the replication factor never stops the writes. The version is the caller's.
void want_min_in_sync(ReplicationRecord& record, std::uint32_t wanted);

}  // namespace andyx::server
