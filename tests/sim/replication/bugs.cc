#include "tests/sim/replication/bugs.h"

namespace andyx::server::sim {

const std::vector<NamedBug>& named_bugs() {
  static const std::vector<NamedBug> kBugs{
#ifdef ANDYX_PLANTED_BUGS
      {PlantedBug::kShrinkBeforeMetadata, "shrink-before-metadata"},
      {PlantedBug::kGrowBeforeMetadata, "grow-before-metadata"},
      {PlantedBug::kJoinerNotRequired, "joiner-not-required"},
      {PlantedBug::kTwoPendingChanges, "two-pending-changes"},
      {PlantedBug::kJoinsBelowElectionEnd, "joins-below-election-end"},
      {PlantedBug::kCommitBelowMinInSync, "commit-below-min-in-sync"},
      {PlantedBug::kUnmatchedCounts, "unmatched-counts"},
      {PlantedBug::kStaleIncarnationCounts, "stale-incarnation-counts"},
      {PlantedBug::kDuplicateAnsweredEarly, "duplicate-answered-early"},
      {PlantedBug::kServesBeforeElectionEnd, "serves-before-election-end"},
      {PlantedBug::kInFlightNotStored, "in-flight-not-stored"},
      {PlantedBug::kAcksAfterEpoch, "acks-after-epoch"},
      {PlantedBug::kAcksWhenCutOff, "acks-when-cut-off"},
      {PlantedBug::kReusesSentOffsets, "reuses-sent-offsets"},
      {PlantedBug::kTruncatesToCommitted, "truncates-to-committed"},
      {PlantedBug::kCommitsBeyondDurable, "commits-beyond-durable"},
      {PlantedBug::kTakesStaleAnswers, "takes-stale-answers"},
      {PlantedBug::kStaleProposalAccepted, "stale-proposal-accepted"},
      {PlantedBug::kDeadIncarnationAccepted, "dead-incarnation-accepted"},
      {PlantedBug::kWipedReplicaStays, "wiped-replica-stays"},
      {PlantedBug::kSameEpochAfterRestart, "same-epoch-after-restart"},
      {PlantedBug::kEligibleForEver, "eligible-for-ever"},
      {PlantedBug::kElectsAnyReplica, "elects-any-replica"},
      {PlantedBug::kElectsIneligible, "elects-ineligible"},
      {PlantedBug::kForgetsReplicaRole, "forgets-replica-role"},
      {PlantedBug::kMoveDropsSourceEarly, "move-drops-source-early"},
      {PlantedBug::kRefusedStillKnown, "refused-still-known"},
      {PlantedBug::kCursorStateNotCarried, "cursor-state-not-carried"},
      {PlantedBug::kLatestEvaluatedAgain, "latest-evaluated-again"},
      {PlantedBug::kSnapshotWithoutRanges, "snapshot-without-ranges"},
      {PlantedBug::kStaleAttachAccepted, "stale-attach-accepted"},
      {PlantedBug::kGrantsBeforeDrained, "grants-before-drained"},
      {PlantedBug::kCoordinatorEpochsRepeat, "coordinator-epochs-repeat"},
      {PlantedBug::kRetriesUnderNewSequence, "retries-under-new-sequence"},
      {PlantedBug::kMaybeStoredForgotten, "maybe-stored-forgotten"},
      {PlantedBug::kProducersNotRolledBack, "producers-not-rolled-back"},
      {PlantedBug::kDurableBeforeSync, "durable-before-sync"},
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

#ifdef ANDYX_PLANTED_BUGS
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
