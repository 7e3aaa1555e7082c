#include "raft/store/log_view.h"

#include <algorithm>
#include <cstdlib>

#include "protocol/base/limits.h"

namespace andyx::raft {

std::uint64_t LogView::charged(const Entry& entry) {
  return sizeof(Cached) + (entry.data.empty() ? 0 : entry.data.charged_bytes());
}

std::expected<Term, LogFault> LogView::term(Index index) const {
  if (index < base_index_) return std::unexpected(LogFault::kCompacted);
  if (index > last_index_) return std::unexpected(LogFault::kUnavailable);
  if (index == base_index_) return base_term_;
  const auto behind = std::ranges::upper_bound(stretches_, index, {}, &Stretch::first);
  return std::prev(behind)->term;
}

LogView::Entries LogView::entries(Index low, Index high, std::uint64_t max_bytes,
                                  const ReadOlder& read_older) const {
  if (low <= base_index_) return std::unexpected(LogFault::kCompacted);
  if (high > last_index_ + 1 || low >= high) return std::unexpected(LogFault::kUnavailable);
  std::vector<Entry> found;
  std::uint64_t bytes = 0;
  const Index cached = cache_first();
  if (low < cached) {
    Entries older = read_older(low, std::min(high, cached), max_bytes);
    if (!older) return older;
    found = std::move(*older);
    if (found.size() < std::min(high, cached) - low) return found;
    for (const Entry& entry : found) bytes += entry.encoded_bytes();
  }
  for (Index index = low + found.size(); index < high; ++index) {
    const Entry& entry = cache_[index - cached].entry;
    bytes += entry.encoded_bytes();
    if (!found.empty() && bytes > max_bytes) break;
    found.push_back(entry);
  }
  return found;
}

void LogView::reset(Index base_index, Term base_term) {
  base_index_ = last_index_ = base_index;
  base_term_ = base_term;
  stretches_.clear();
  cache_.clear();
  cached_bytes_ = 0;
}

void LogView::append(const Entry& entry, std::uint64_t write) {
  if (entry.index <= base_index_ || entry.index > last_index_ + 1) {
    std::abort();  // a gap is a bug of the caller
  }
  truncate(entry.index);
  if (last_term() != entry.term || stretches_.empty()) {
    stretches_.push_back({entry.index, entry.term});
  }
  last_index_ = entry.index;
  Cached& cached = cache_.emplace_back(entry, write);
  // A small payload must not keep a large slab of its connection.
  if (entry.data.charged_bytes() > limits::kMinPinShare * entry.data.size()) {
    cached.entry.data =
        entry.data.empty() ? SharedBytes() : SharedBytes::copy_of(entry.data.span());
  }
  cached_bytes_ += charged(cached.entry);
}

void LogView::truncate(Index from) {
  while (!cache_.empty() && cache_.back().entry.index >= from) {
    cached_bytes_ -= charged(cache_.back().entry);
    cache_.pop_back();
  }
  while (!stretches_.empty() && stretches_.back().first >= from) stretches_.pop_back();
  last_index_ = std::min(last_index_, from - 1);
}

void LogView::drop_oldest() {
  cached_bytes_ -= charged(cache_.front().entry);
  cache_.pop_front();
}

void LogView::compact(Index index) {
  if (index <= base_index_) return;
  base_term_ = *term(index);
  base_index_ = index;
  while (!cache_.empty() && cache_.front().entry.index <= index) drop_oldest();
  while (stretches_.size() > 1 && stretches_[1].first <= index + 1) stretches_.pop_front();
  if (index == last_index_) stretches_.clear();
}

void LogView::evict(std::uint64_t stored) {
  while (cached_bytes_ > cache_limit_ && !cache_.empty() && cache_.front().write <= stored) {
    drop_oldest();
  }
}

}  // namespace andyx::raft
