#include "clients/cpp/src/answer_queue.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace andyx::client {
namespace {

// Sorts and joins.
void normalise(std::vector<OffsetRange>& ranges) {
  std::ranges::sort(ranges, {}, &OffsetRange::first);
  std::size_t kept = 0;
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first <= ranges[kept].last + 1) {
      ranges[kept].last = std::max(ranges[kept].last, ranges[i].last);
    } else {
      ranges[++kept] = ranges[i];
    }
  }
  ranges.resize(std::min(ranges.size(), kept + 1));
}

}  // namespace

void AnswerQueue::add(AnswerKind kind, OffsetRange range, std::uint32_t delay_ms) {
  if (range.last < range.first) return;
  if (groups_.empty() || groups_.back().kind != kind || groups_.back().delay_ms != delay_ms)
    groups_.push_back({.kind = kind, .delay_ms = delay_ms, .ranges = {}});
  auto& group = groups_.back();
  group.given += range.count();
  if (!group.ranges.empty() && group.ranges.back().last + 1 == range.first) {
    group.ranges.back().last = range.last;
  } else {
    group.ranges.push_back(range);
  }
}

AnswerQueue::Group AnswerQueue::take(std::size_t max_ranges) {
  assert(!groups_.empty());
  auto& front = groups_.front();
  normalise(front.ranges);
  if (front.ranges.size() <= max_ranges) {
    auto group = std::move(front);
    groups_.pop_front();
    return group;
  }
  Group group{.kind = front.kind, .delay_ms = front.delay_ms, .ranges = {}};
  const auto end = front.ranges.begin() + static_cast<std::ptrdiff_t>(max_ranges);
  group.ranges.assign(front.ranges.begin(), end);
  front.ranges.erase(front.ranges.begin(), end);
  for (const auto& range : group.ranges) group.given += range.count();
  group.given = std::min(group.given, front.given);
  front.given -= group.given;
  return group;
}

void AnswerQueue::put_back(Group group) { groups_.push_front(std::move(group)); }

bool AnswerQueue::put_back_halves(Group& group) {
  std::uint64_t messages = 0;
  for (const auto& range : group.ranges) messages += range.count();
  if (messages < 2) return false;
  Group first{.kind = group.kind, .delay_ms = group.delay_ms, .ranges = {}, .given = messages / 2};
  Group second{.kind = group.kind,
               .delay_ms = group.delay_ms,
               .ranges = {},
               .given = group.given - std::min(group.given, messages / 2)};
  std::uint64_t left = messages / 2;
  for (const auto& range : group.ranges) {
    const std::uint64_t before = std::min(left, range.count());
    if (before > 0) first.ranges.push_back({range.first, range.first + before - 1});
    if (before < range.count()) second.ranges.push_back({range.first + before, range.last});
    left -= before;
  }
  put_back(std::move(second));
  put_back(std::move(first));
  return true;
}

std::uint64_t AnswerQueue::clear() {
  std::uint64_t given = 0;
  for (const auto& group : groups_) given += group.given;
  groups_.clear();
  return given;
}

}  // namespace andyx::client
