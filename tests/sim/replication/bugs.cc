#include "tests/sim/replication/bugs.h"

namespace andyx::server::sim {

const std::vector<NamedBug>& named_bugs() {
  static const std::vector<NamedBug> kBugs{
#ifdef ANDYX_REPLICATION_PLANTED_BUGS
      {ReplicationBug::kShrinkBeforeMetadata, "shrink-before-metadata"},
      {ReplicationBug::kGrowBeforeMetadata, "grow-before-metadata"},
      {ReplicationBug::kJoinerNotRequired, "joiner-not-required"},
      {ReplicationBug::kTwoPendingChanges, "two-pending-changes"},
      {ReplicationBug::kJoinsBelowElectionEnd, "joins-below-election-end"},
      {ReplicationBug::kCommitBelowMinInSync, "commit-below-min-in-sync"},
      {ReplicationBug::kUnmatchedCounts, "unmatched-counts"},
      {ReplicationBug::kStaleIncarnationCounts, "stale-incarnation-counts"},
      {ReplicationBug::kDuplicateAnsweredEarly, "duplicate-answered-early"},
      {ReplicationBug::kServesBeforeElectionEnd, "serves-before-election-end"},
      {ReplicationBug::kInFlightNotStored, "in-flight-not-stored"},
      {ReplicationBug::kAcksAfterEpoch, "acks-after-epoch"},
      {ReplicationBug::kAcksWhenCutOff, "acks-when-cut-off"},
      {ReplicationBug::kReusesSentOffsets, "reuses-sent-offsets"},
      {ReplicationBug::kTruncatesToCommitted, "truncates-to-committed"},
      {ReplicationBug::kCommitsBeyondDurable, "commits-beyond-durable"},
      {ReplicationBug::kTakesStaleAnswers, "takes-stale-answers"},
      {ReplicationBug::kStaleProposalAccepted, "stale-proposal-accepted"},
      {ReplicationBug::kDeadIncarnationAccepted, "dead-incarnation-accepted"},
      {ReplicationBug::kWipedReplicaStays, "wiped-replica-stays"},
      {ReplicationBug::kSameEpochAfterRestart, "same-epoch-after-restart"},
      {ReplicationBug::kEligibleForEver, "eligible-for-ever"},
      {ReplicationBug::kElectsAnyReplica, "elects-any-replica"},
      {ReplicationBug::kProducersNotRolledBack, "producers-not-rolled-back"},
      {ReplicationBug::kDurableBeforeSync, "durable-before-sync"},
#endif
  };
  return kBugs;
}

std::string bug_names() {
  std::string names;
  for (const NamedBug& each : named_bugs())
    names += (names.empty() ? "" : " ") + std::string(each.name);
  return names.empty() ? "none" : names;
}

#ifdef ANDYX_REPLICATION_PLANTED_BUGS
bool plant(std::string_view name) {
  for (const NamedBug& each : named_bugs()) {
    if (each.name != name) continue;
    planted_bug = each.bug;
    return true;
  }
  return false;
}
#else
bool plant(std::string_view) { return false; }
#endif

}  // namespace andyx::server::sim
