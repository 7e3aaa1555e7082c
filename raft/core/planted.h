// Known bugs, to show that the simulator can fail. Compiled in only where the build defines
// ANDYX_RAFT_PLANTED_BUGS (a library of the tests); elsewhere planted() is false at compile time
// and nothing of it remains.
#pragma once

#include <cstdint>

namespace andyx::raft {

enum class Bug : std::uint8_t {
  kNoBug,
  // In the core.
  kCommitOfEarlierTerm,       // a majority's match commits an entry of an earlier term
  kMatchFromStaleReply,       // match follows any append reply, also a lower or a rejected one
  kCommitBeyondMatch,         // a follower commits up to the leader's commit, matched or not
  kTruncateMatched,           // an append truncates behind its last entry although all matched
  kSnapshotKeepsDivergent,    // a snapshot over a divergent log keeps the log's tail
  kSecondConfChange,          // a membership change is accepted before the first is applied
  kLearnerCounts,             // learners count for commit
  kVoteDespiteLease,          // a vote for another while a leader is live, despite check-quorum
  kReadWithoutRound,          // a read index is answered without confirming leadership
  kLeaseReadAfterTransfer,    // lease reads are answered during and after a leadership transfer
  kStaleVoteCounts,           // a vote reply of an earlier term counts
  kVoteTwice,                 // a second candidate of the same term gets the vote as well
  kJointCountsIncomingOnly,   // joint: the outgoing majority is not asked
  kHeartbeatCommitUnchecked,  // heartbeats carry the leader's commit, not capped by match
  kVoteForShorterLog,         // the candidate's log is not compared
  // In what a host does (the simulator's host has them).
  kVoteNotPersisted,       // the hard state's vote is lost at a crash
  kAckBeforeSync,          // replies leave before the sync
  kUnsyncedTailKept,       // what was never synced is taken as committed after a crash
  kAppliedSavedApart,      // the state machine is durable before its applied index
  kSnapshotBeforeApplied,  // a snapshot claims entries that are not in it
  kWipedNodeVotes,         // a node that lost its disk comes back as itself
  kCount,
};

#ifdef ANDYX_RAFT_PLANTED_BUGS
inline Bug planted_bug = Bug::kNoBug;  // one at a time; set before the cores are made
inline bool planted(Bug bug) { return planted_bug == bug; }
#else
constexpr bool planted(Bug) { return false; }
#endif

}  // namespace andyx::raft
