// What raft-sim prints.
#pragma once

#include <cstdint>

#include "tests/sim/world.h"

namespace andyx::raft::sim {

Time hours_of_virtual_time(double hours);
const char* commit_of_build();  // git's, or "unknown"

class Report {
 public:
  explicit Report(double hours) : hours_(hours) {}

  // A failure is printed at once, with all that is needed to see it again.
  void add(const RunResult& result, bool verbose);
  // One line: what all runs did. `stranded`: lost disks left no quorum, so that no liveness could
  // be asked for; `helped`: see World::help.
  void print_summary() const;
  std::uint64_t violations() const { return violations_; }

 private:
  void print_violation(const RunResult& result) const;

  double hours_;
  std::uint64_t seeds_ = 0;
  std::uint64_t violations_ = 0;
  std::uint64_t elections_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t stranded_ = 0;
  std::uint64_t helped_ = 0;
  Time virtual_time_ = 0;
  Counts counts_;
};

}  // namespace andyx::raft::sim
