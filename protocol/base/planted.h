// Known bugs of the pure cores, to show that the simulator of a cluster can fail. Compiled in only
// where the build defines ANDYX_PLANTED_BUGS (a library of the tests); elsewhere planted() is false
// at compile time and nothing of it remains. Here, because the cores of server and client share no
// other folder.
#pragma once

#include <cstdint>

namespace andyx {

enum class PlantedBug : std::uint8_t {
  kNoBug,
  // In the main.
  kShrinkBeforeMetadata,     // a member that is to leave is no longer waited for
  kGrowBeforeMetadata,       // a joiner counts for min-in-sync before the metadata says so
  kJoinerNotRequired,        // nor is the joiner of a pending growth waited for
  kTwoPendingChanges,        // a second change is proposed, and the joiner of the first forgotten
  kJoinsBelowElectionEnd,    // a joiner needs only what the new main knows to be committed
  kCommitBelowMinInSync,     // the set's size is not looked at
  kUnmatchedCounts,          // a durable offset counts although the epochs diverge
  kStaleIncarnationCounts,   // fetches of an earlier life of a replica count
  kDuplicateAnsweredEarly,   // a duplicate is answered at once
  kServesBeforeElectionEnd,  // a new main serves reads before its log end is committed
  kInFlightNotStored,        // what is in flight when the set gets too small is called not stored
  kAcksAfterEpoch,           // what is in flight when the epoch ends is acknowledged
  kAcksWhenCutOff,           // main acks although the controller has long been silent
  kReusesSentOffsets,        // offsets of refused appends are given again, replicas have them
  // In the replica.
  kTruncatesToCommitted,  // a new epoch cuts the log to the committed offset
  kCommitsBeyondDurable,  // the main's committed offset is taken as it is
  kTakesStaleAnswers,     // answers to earlier requests are taken
  // In the controller's rules.
  kStaleProposalAccepted,    // the version of a proposal is not compared
  kDeadIncarnationAccepted,  // the incarnations of a proposal are not compared
  kWipedReplicaStays,        // a node with a new disk stays in the set
  kSameEpochAfterRestart,    // a main that restarted goes on under its epoch
  kEligibleForEver,          // eligible members stay so when the set is whole again
  kElectsAnyReplica,         // a replica outside the set becomes main when nobody else is there
  kElectsIneligible,         // elections take who is neither in the set nor eligible
  kForgetsReplicaRole,       // a lost node leaves the sets of those partitions only that it leads
  kMoveDropsSourceEarly,     // a move takes the old copy away before the new one is in sync
  // In the partition.
  kRefusedStillKnown,  // a refused append stays a producer's last one
  // In the subscription and its coordinator.
  kCursorStateNotCarried,    // a new main reads no answers back
  kLatestEvaluatedAgain,     // a new main begins at its own end where nothing is answered yet
  kSnapshotWithoutRanges,    // a snapshot of a cursor is its floor only
  kStaleAttachAccepted,      // a stream of an attach epoch that was superseded
  kGrantsBeforeDrained,      // a partition changes its consumer before the old one has drained
  kCoordinatorEpochsRepeat,  // a new coordinator gives the epochs of the one before again
  // In the client.
  kRetriesUnderNewSequence,  // what was in flight on a lost connection goes under a new identity
  kMaybeStoredForgotten,     // a batch that may be stored is reported as not stored
  // In what a node does around the cores (the simulator's node has them).
  kProducersNotRolledBack,  // truncation leaves the producers' state as it was
  kDurableBeforeSync,       // written counts as durable
  kCount,
};

#ifdef ANDYX_PLANTED_BUGS
inline PlantedBug planted_bug = PlantedBug::kNoBug;  // one at a time
inline bool planted(PlantedBug bug) { return planted_bug == bug; }
#else
constexpr bool planted(PlantedBug) { return false; }
#endif

}  // namespace andyx
