#include "tools/bench/workload/sequence_check.h"

namespace andyx::bench {

void SequenceCheck::received(std::uint64_t sequence) {
  if (sequence >= next_) {
    if (sequence > next_) gaps_.emplace(next_, sequence);
    next_ = sequence + 1;
    ++unique_;
    return;
  }
  auto gap = gaps_.upper_bound(sequence);
  if (gap == gaps_.begin() || (--gap)->second <= sequence) {
    ++duplicates_;
    return;
  }
  ++unique_;
  ++reordered_;
  const auto [first, end] = *gap;
  gaps_.erase(gap);
  if (first < sequence) gaps_.emplace(first, sequence);
  if (sequence + 1 < end) gaps_.emplace(sequence + 1, end);
}

}  // namespace andyx::bench
