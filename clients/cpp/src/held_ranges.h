// Messages of a partition that the application has and has not answered. Pure; the consumer's mutex
// guards it.
#pragma once

#include <iterator>
#include <map>

#include "andyx/types.h"

namespace andyx::client {

class HeldRanges {
 public:
  void add(OffsetRange range) {
    remove(range);
    const auto next = ranges_.upper_bound(range.first);
    if (next != ranges_.begin() && std::prev(next)->second + 1 == range.first) {
      std::prev(next)->second = range.last;
    } else {
      ranges_.emplace_hint(next, range.first, range.last);
    }
  }

  // Those of them that are held.
  void remove(OffsetRange range) {
    auto at = ranges_.upper_bound(range.first);
    if (at != ranges_.begin() && std::prev(at)->second >= range.first) --at;
    while (at != ranges_.end() && at->first <= range.last) {
      const auto [first, last] = *at;
      if (first < range.first) {
        at->second = range.first - 1;
        ++at;
      } else if (last > range.last) {  // the usual case, answered one by one: without allocation
        auto node = ranges_.extract(at++);
        node.key() = range.last + 1;
        ranges_.insert(at, std::move(node));
        return;
      } else {
        at = ranges_.erase(at);
      }
      if (last > range.last) {
        ranges_.emplace_hint(at, range.last + 1, last);
        return;
      }
    }
  }

  bool empty() const { return ranges_.empty(); }
  void clear() { ranges_.clear(); }

 private:
  std::map<Offset, Offset> ranges_;  // first -> last, apart
};

}  // namespace andyx::client
