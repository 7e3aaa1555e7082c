#include "server/partition/tail_cache.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace andyx::server {

void TailCache::append(Offset base_offset, std::uint32_t count, SharedBytes bytes) {
  assert(count > 0);
  if (!empty() && index_.back()->batch.end_offset != base_offset) clear();
  const std::size_t charge = bytes.size() + kOverheadBytes;
  if (charge > budget_.capacity_bytes_) {
    clear();
    return;
  }
  while (budget_.used_bytes_ + charge > budget_.capacity_bytes_)
    budget_.by_age_.front().owner->pop_oldest();
  budget_.used_bytes_ += charge;
  index_.push_back(budget_.by_age_.insert(
      budget_.by_age_.end(), {this, {base_offset, base_offset + count, std::move(bytes)}}));
}

const CachedBatch* TailCache::find(Offset offset) const {
  const auto found = std::partition_point(index_.begin(), index_.end(), [&](const auto& entry) {
    return entry->batch.end_offset <= offset;
  });
  if (found == index_.end() || (*found)->batch.base_offset > offset) return nullptr;
  return &(*found)->batch;
}

void TailCache::drop_below(Offset start) {
  while (!empty() && index_.front()->batch.end_offset <= start) pop_oldest();
}

void TailCache::truncate(Offset from) {
  while (!empty() && index_.back()->batch.end_offset > from) pop_newest();
}

void TailCache::pop_oldest() {
  release(index_.front());
  index_.pop_front();
}

void TailCache::pop_newest() {
  release(index_.back());
  index_.pop_back();
}

void TailCache::release(TailCacheBudget::Entries::iterator entry) {
  budget_.used_bytes_ -= entry->batch.bytes.size() + kOverheadBytes;
  budget_.by_age_.erase(entry);
}

}  // namespace andyx::server
