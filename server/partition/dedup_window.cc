#include "server/partition/dedup_window.h"

#include <unordered_set>

#include "protocol/base/limits.h"

namespace andyx::server {

void DedupWindow::set_window(std::uint32_t window_ms) {
  window_ms_ = window_ms;
  if (on()) return;
  entries_.clear();
  offsets_.clear();
}

void DedupWindow::forget(const Entry& entry) {
  const auto found = offsets_.find(entry.id);
  if (found != offsets_.end() && found->second == entry.offset) offsets_.erase(found);
}

void DedupWindow::expire(TimeUs now_us) {
  const TimeUs window_us = TimeUs{window_ms_} * 1'000;
  while (!entries_.empty() && now_us - entries_.front().append_time_us >= window_us) {
    forget(entries_.front());
    entries_.pop_front();
  }
}

std::vector<RepeatedMessage> DedupWindow::find(std::span<const std::uint64_t> ids) const {
  std::vector<RepeatedMessage> repeated;
  std::unordered_set<std::uint64_t> here;
  for (std::uint32_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == 0) continue;
    if (const auto known = offsets_.find(ids[i]); known != offsets_.end())
      repeated.push_back({i, known->second});
    else if (!here.insert(ids[i]).second)
      repeated.push_back({i, kNoOffset});
  }
  return repeated;
}

void DedupWindow::record(std::span<const std::uint64_t> ids, Offset base_offset,
                         TimeUs append_time_us) {
  if (!on()) return;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == 0) continue;
    entries_.push_back({ids[i], base_offset + i, append_time_us});
    offsets_[ids[i]] = base_offset + i;
    if (entries_.size() <= limits::kMaxDedupIdsPerPartition) continue;
    forget(entries_.front());
    entries_.pop_front();
  }
}

void DedupWindow::rollback(Offset from) {
  while (!entries_.empty() && entries_.back().offset >= from) {
    forget(entries_.back());
    entries_.pop_back();
  }
}

}  // namespace andyx::server
