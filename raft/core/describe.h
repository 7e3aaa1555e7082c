// Raft's values as text, in the format of etcd's transcripts.
#pragma once

#include <string>

#include "raft/core/membership.h"
#include "raft/core/peer_set.h"
#include "raft/core/raw_node.h"
#include "raft/core/types.h"

namespace andyx::raft {

const char* text(Role role);                             // "StateFollower"
const char* text(MessageType type);                      // "MsgApp"
std::string describe(const PeerSet& peers);              // "(1 2 a)"
std::string describe(const ConfState& conf);             // "Voters:[1 2] VotersOutgoing:[] …"
std::string describe(const HardState& hard);             // "Term:1 Vote:1 Commit:10"
std::string describe(const SoftState& soft);             // "Lead:1 State:StateLeader"
std::string describe(const SnapshotMeta& meta);          // "Index:4 Term:1 ConfState:…"
std::string describe(const ConfChange& change);          // for log lines
std::string describe_changes(const ConfChange& change);  // "v1 l2 r3 u4"
std::string describe(const Entry& entry);                // "1/11 EntryNormal \"data\""
std::string describe(const Message& message);            // one or several lines
std::string describe(const Ready& ready);
std::string quoted(ByteSpan bytes);  // as Go's %q

}  // namespace andyx::raft
