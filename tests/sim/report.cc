#include "tests/sim/report.h"

#include <cstdio>
#include <iomanip>
#include <sstream>

#include "tests/sim/bugs.h"
#include "tests/sim/commit.h"

namespace andyx::raft::sim {

namespace {

void print(const std::ostringstream& out) {
  std::fputs(out.str().c_str(), stdout);
  std::fflush(stdout);
}

double in_hours(Time time) {
  return static_cast<double>(time) / static_cast<double>(3600 * kSecond);
}

}  // namespace

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
  helped_ += result.helped ? 1 : 0;
  virtual_time_ += result.virtual_time;
  counts_.events += result.counts.events;
  counts_.crashes += result.counts.crashes;
  counts_.snapshots += result.counts.snapshots;
  counts_.changes += result.counts.changes;
  counts_.torn += result.counts.torn;
  if (verbose) {
    std::ostringstream out;
    out << "seed " << result.options.seed << ": " << (result.violation ? "VIOLATED" : "ok")
        << ", events " << result.counts.events << ", commits " << result.commits << ", elections "
        << result.elections << (result.stranded ? ", stranded" : "")
        << (result.helped ? ", helped" : "") << ", trace " << std::hex << std::setw(16)
        << std::setfill('0') << result.trace_hash << ": " << describe(result.options) << '\n';
    print(out);
  }
  if (result.violation) {
    violations_++;
    print_violation(result);
  }
}

void Report::print_violation(const RunResult& result) const {
  const std::string bug = planted_name();
  std::ostringstream out;
  out << "VIOLATION of '" << result.violation->invariant << "': " << result.violation->detail
      << "\n  at " << std::fixed << std::setprecision(6)
      << static_cast<double>(result.virtual_time) / static_cast<double>(kSecond)
      << " s of virtual time, event " << result.counts.events << "\n  seed: " << result.options.seed
      << "\n  options: " << describe(result.options) << "\n  commit: " << commit_of_build()
      << "\n  again: " << (bug.empty() ? "raft-sim" : "raft-sim-planted") << " --seed "
      << result.options.seed << std::defaultfloat << " --hours " << hours_
      << (bug.empty() ? "" : " --bug " + bug) << "\n  the peers, and the last events:\n"
      << result.trace;
  print(out);
}

void Report::print_summary() const {
  std::ostringstream out;
  out << "seeds " << seeds_ << ", events " << counts_.events << ", virtual time " << std::fixed
      << std::setprecision(1) << in_hours(virtual_time_) << " h, elections " << elections_
      << ", crashes " << counts_.crashes << " (torn " << counts_.torn << "), commits " << commits_
      << ", operations " << answered_ << ", snapshots " << counts_.snapshots
      << ", membership changes " << counts_.changes << ", stranded " << stranded_ << ", helped "
      << helped_ << ", violations " << violations_ << '\n';
  print(out);
}

}  // namespace andyx::raft::sim
