#include "tests/sim/bugs.h"

namespace andyx::raft::sim {

const std::vector<NamedBug>& named_bugs() {
  static const std::vector<NamedBug> kBugs{
#ifdef ANDYX_RAFT_PLANTED_BUGS
      {Bug::kCommitOfEarlierTerm, "commit-of-earlier-term"},
      {Bug::kMatchFromStaleReply, "match-from-stale-reply"},
      {Bug::kCommitBeyondMatch, "commit-beyond-match"},
      {Bug::kTruncateMatched, "truncate-matched"},
      {Bug::kSnapshotKeepsDivergent, "snapshot-keeps-divergent"},
      {Bug::kSecondConfChange, "second-conf-change"},
      {Bug::kLearnerCounts, "learner-counts"},
      {Bug::kVoteDespiteLease, "vote-despite-lease"},
      {Bug::kReadWithoutRound, "read-without-round"},
      {Bug::kLeaseReadAfterTransfer, "lease-read-after-transfer"},
      {Bug::kStaleVoteCounts, "stale-vote-counts"},
      {Bug::kVoteTwice, "vote-twice"},
      {Bug::kJointCountsIncomingOnly, "joint-counts-incoming-only"},
      {Bug::kHeartbeatCommitUnchecked, "heartbeat-commit-unchecked"},
      {Bug::kVoteForShorterLog, "vote-for-shorter-log"},
      {Bug::kVoteNotPersisted, "vote-not-persisted"},
      {Bug::kAckBeforeSync, "ack-before-sync"},
      {Bug::kUnsyncedTailKept, "unsynced-tail-kept"},
      {Bug::kAppliedSavedApart, "applied-saved-apart"},
      {Bug::kSnapshotBeforeApplied, "snapshot-before-applied"},
      {Bug::kWipedNodeVotes, "wiped-node-votes"},
#endif
  };
  return kBugs;
}

std::string bug_names() {
  std::string names;
  for (const NamedBug& each : named_bugs()) {
    names += (names.empty() ? "" : " ") + std::string(each.name);
  }
  return names.empty() ? "none" : names;
}

#ifdef ANDYX_RAFT_PLANTED_BUGS
bool plant(std::string_view name) {
  for (const NamedBug& each : named_bugs()) {
    if (each.name == name) {
      planted_bug = each.bug;
      return true;
    }
  }
  return false;
}

std::string planted_name() {
  for (const NamedBug& each : named_bugs()) {
    if (each.bug == planted_bug) {
      return each.name;
    }
  }
  return {};
}
#else
bool plant(std::string_view /*name*/) { return false; }
std::string planted_name() { return {}; }
#endif

}  // namespace andyx::raft::sim
