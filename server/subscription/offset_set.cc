#include "server/subscription/offset_set.h"

#include <algorithm>
#include <cassert>

namespace andyx::server {

std::uint64_t OffsetSet::add(Offset first, Offset last) {
  assert(first <= last);
  if (last < floor_) return 0;
  first = std::max(first, floor_);
  const std::uint64_t before = ranges_.offsets();
  ranges_.cut(first, last);
  const std::uint64_t known = before - ranges_.offsets();
  if (first == floor_) {
    floor_ = last + 1;
    absorb_front();
  } else {
    ranges_.insert(first, last);
  }
  return last - first + 1 - known;
}

void OffsetSet::advance_floor(Offset floor) {
  if (floor <= floor_) return;
  ranges_.cut(floor_, floor - 1);
  floor_ = floor;
  absorb_front();
}

void OffsetSet::cut(Offset end) {
  ranges_.cut(end, kNoOffset);
  floor_ = std::min(floor_, end);
}

void OffsetSet::reset(Offset floor) {
  ranges_.clear();
  floor_ = floor;
}

bool OffsetSet::contains(Offset offset) const {
  return offset < floor_ || ranges_.contains(offset);
}

Offset OffsetSet::next_missing(Offset offset) const {
  if (offset < floor_) return floor_;
  const auto* range = ranges_.lower(offset);
  return range != nullptr && range->first <= offset ? range->last + 1 : offset;
}

std::optional<OffsetRange> OffsetSet::next_range(Offset offset) const {
  const auto* range = ranges_.lower(offset);
  if (range == nullptr) return std::nullopt;
  return OffsetRange{range->first, range->last};
}

std::vector<OffsetRange> OffsetSet::ranges() const {
  std::vector<OffsetRange> all;
  all.reserve(ranges_.size());
  ranges_.for_each([&](const auto& range) { all.push_back({range.first, range.last}); });
  return all;
}

bool OffsetSet::operator==(const OffsetSet& other) const {
  return floor_ == other.floor_ && ranges() == other.ranges();
}

// Ranges do not touch each other, so at most the first one touches the floor.
void OffsetSet::absorb_front() {
  const auto* front = ranges_.lower(floor_);
  if (front == nullptr || front->first != floor_) return;
  const Offset last = front->last;
  ranges_.cut(floor_, last);
  floor_ = last + 1;
}

}  // namespace andyx::server
