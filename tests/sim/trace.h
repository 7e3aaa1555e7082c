// What happened, in order: a hash over all of it (two runs of a seed must agree) and the newest
// events in full, for the report of a failure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raft/core/types.h"
#include "tests/sim/machine.h"
#include "tests/sim/options.h"

namespace andyx::raft::sim {

struct TraceLine {
  Time at = 0;
  const char* what = nullptr;  // a literal; null: not shown
  PeerId peer = kNone;
  PeerId other = kNone;
  Term term = 0;
  Index index = 0;
  std::uint64_t more = 0;
};

class Trace {
 public:
  void add(const TraceLine& line) {
    hash_ = mix(mix(mix(mix(hash_, line.at), line.peer << 32 | line.other), line.term), line.index);
    hash_ = mix(hash_, line.more);
    if (line.what != nullptr) {
      lines_[count_++ % kKept] = line;
    }
  }
  std::uint64_t hash() const { return hash_; }
  // The newest `lines`, one a line, oldest first.
  std::string tail(std::size_t lines) const;

 private:
  static constexpr std::size_t kKept = 4096;
  std::uint64_t hash_ = 1;
  std::uint64_t count_ = 0;
  std::vector<TraceLine> lines_ = std::vector<TraceLine>(kKept);
};

}  // namespace andyx::raft::sim
