// How long writes stood still: for each fault and partition the longest time without a committed
// write, from the fault's beginning until its round has recovered. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/fault/history/history.h"

namespace andyx::test::fault {

// Milliseconds, ascending, by kind of fault; each fault has one for each partition. Faults of one
// round stand apart from those that came alone: together they may take what no cluster survives.
using Gaps = std::map<std::string, std::vector<std::uint32_t>>;
Gaps measure_gaps(const History& history);

// The smallest value that `percent` of all do not exceed; 0 of none.
std::uint32_t percentile(const std::vector<std::uint32_t>& ascending, double percent);

// Kind, faults, p50, p99 and the longest, one kind a line.
std::string gap_table(const Gaps& gaps, std::uint32_t partitions);

}  // namespace andyx::test::fault
