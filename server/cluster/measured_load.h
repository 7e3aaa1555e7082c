// What a node has measured of its own load, as its heartbeats carry it. Soft state: never logged.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "protocol/base/ids.h"
#include "protocol/base/limits.h"

namespace andyx::server {

struct PartitionShare {
  PartitionId partition = 0;
  std::uint64_t amount = 0;

  bool operator==(const PartitionShare&) const = default;
};

struct MeasuredLoad {
  // Bytes/s that clients produce to its mains, and are given by them; smoothed over 30 s.
  std::uint64_t in_rate = 0, out_rate = 0;
  std::uint64_t stored_bytes = 0;  // live, of its copies
  // The largest first, at most limits::kMaxLoadShares of each.
  std::vector<PartitionShare> busiest;  // of its mains: bytes/s, in and out
  std::vector<PartitionShare> largest;  // of its copies: bytes

  bool operator==(const MeasuredLoad&) const = default;
};

// The largest ones come first, and no more than are told of are left.
inline void keep_largest(std::vector<PartitionShare>& shares) {
  const auto middle = shares.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(
                                           shares.size(), limits::kMaxLoadShares));
  std::partial_sort(shares.begin(), middle, shares.end(),
                    [](const PartitionShare& a, const PartitionShare& b) {
                      return a.amount != b.amount ? a.amount > b.amount : a.partition < b.partition;
                    });
  shares.erase(middle, shares.end());
}

}  // namespace andyx::server
