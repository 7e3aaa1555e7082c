#include "tests/sim/report.h"

#include <cstdio>

#include "tests/sim/bugs.h"
#include "tests/sim/commit.h"

namespace andyx::raft::sim {

Time hours_of_virtual_time(double hours) {
  return static_cast<Time>(hours * 3600 * static_cast<double>(kSecond));
}

const char* commit_of_build() { return kCommitOfBuild[0] == '\0' ? "unknown" : kCommitOfBuild; }

void Report::add(const RunResult& result, bool verbose) {
  seeds_++;
  elections_ += result.elections;
  commits_ += result.commits;
  answered_ += result.answered;
  stranded_ += result.stranded ? 1 : 0;
  virtual_time_ += result.virtual_time;
  counts_.events += result.counts.events;
  counts_.crashes += result.counts.crashes;
  counts_.snapshots += result.counts.snapshots;
  counts_.changes += result.counts.changes;
  counts_.torn += result.counts.torn;
  if (verbose) {
    std::printf("seed %llu: %s: events %llu, commits %llu, elections %llu, trace %016llx, %s%s\n",
                static_cast<unsigned long long>(result.options.seed),
                result.violation ? "VIOLATED" : "ok",
                static_cast<unsigned long long>(result.counts.events),
                static_cast<unsigned long long>(result.commits),
                static_cast<unsigned long long>(result.elections),
                static_cast<unsigned long long>(result.trace_hash),
                describe(result.options).c_str(), result.stranded ? ", stranded" : "");
  }
  if (!result.violation) {
    return;
  }
  violations_++;
  const std::string bug = planted_name();
  std::printf(
      "VIOLATION of '%s': %s\n  at %.6f s of virtual time, event %llu\n  options: %s\n  commit: "
      "%s\n  again: %s --seed %llu --hours %g%s\n  the last events:\n%s",
      result.violation->invariant.c_str(), result.violation->detail.c_str(),
      static_cast<double>(result.virtual_time) / static_cast<double>(kSecond),
      static_cast<unsigned long long>(result.counts.events), describe(result.options).c_str(),
      commit_of_build(), bug.empty() ? "raft-sim" : "raft-sim-planted",
      static_cast<unsigned long long>(result.options.seed), hours_,
      bug.empty() ? "" : (" --bug " + bug).c_str(), result.trace.c_str());
  std::fflush(stdout);
}

void Report::print_summary() const {
  std::printf(
      "seeds %llu, events %llu, virtual time %.1f h, elections %llu, crashes %llu (torn %llu), "
      "commits %llu, operations %llu, snapshots %llu, membership changes %llu, stranded %llu, "
      "violations %llu\n",
      static_cast<unsigned long long>(seeds_), static_cast<unsigned long long>(counts_.events),
      static_cast<double>(virtual_time_) / static_cast<double>(3600 * kSecond),
      static_cast<unsigned long long>(elections_), static_cast<unsigned long long>(counts_.crashes),
      static_cast<unsigned long long>(counts_.torn), static_cast<unsigned long long>(commits_),
      static_cast<unsigned long long>(answered_),
      static_cast<unsigned long long>(counts_.snapshots),
      static_cast<unsigned long long>(counts_.changes), static_cast<unsigned long long>(stranded_),
      static_cast<unsigned long long>(violations_));
}

}  // namespace andyx::raft::sim
