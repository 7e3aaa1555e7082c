// The offsets of a partition that a subscription has answered: a floor (everything below is
// answered) and ranges above it, disjoint, not touching, ascending. Pure; one thread. Answers in
// order only move the floor: O(1); others cost O(log n). The bound on the number of ranges is kept
// by SubscriptionCore.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/base/ids.h"
#include "server/subscription/range_map.h"

namespace andyx::server {

class OffsetSet {
 public:
  explicit OffsetSet(Offset floor = 0) : floor_(floor) {}

  // Adds first..last. Returns how many of them were not in the set.
  std::uint64_t add(Offset first, Offset last);
  // Adds everything below `floor`. Never back.
  void advance_floor(Offset floor);
  // Removes everything from `end` on; the floor falls to `end` when it was above.
  void cut(Offset end);
  // Starts anew: everything below `floor`, nothing else.
  void reset(Offset floor);

  Offset floor() const { return floor_; }
  bool contains(Offset offset) const;
  // The first offset >= `offset` that is not in the set.
  Offset next_missing(Offset offset) const;
  // The first range of the set that ends at or above `offset` >= floor.
  std::optional<OffsetRange> next_range(Offset offset) const;

  std::size_t range_count() const { return ranges_.size(); }             // above the floor
  std::uint64_t count_above_floor() const { return ranges_.offsets(); }  // offsets
  std::vector<OffsetRange> ranges() const;

  bool operator==(const OffsetSet& other) const;

 private:
  void absorb_front();

  Offset floor_;
  RangeMap<Nothing> ranges_;
};

}  // namespace andyx::server
