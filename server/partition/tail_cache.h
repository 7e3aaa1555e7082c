// The most recent batches of a partition in memory, so that consumers and readers at the tail cost
// no disk read. All caches of a loop share one TailCacheBudget: over its bytes the oldest batch of
// any partition goes first, so every partition keeps the same stretch of time. One thread (the
// loop); the budget must outlive its caches.
//
// A cache holds a run of offsets without gaps. It knows nothing of committed: the shell shows
// readers only what is below. Charged are the batch's bytes and a fixed overhead, not its slab:
// batches that would pin a much larger slab are copied out of it before they get here
// (limits::kMinPinShare).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>

#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"

namespace andyx::server {

struct CachedBatch {
  Offset base_offset = 0;
  Offset end_offset = 0;
  SharedBytes bytes;
};

class TailCache;

class TailCacheBudget {
 public:
  explicit TailCacheBudget(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  TailCacheBudget(const TailCacheBudget&) = delete;
  TailCacheBudget& operator=(const TailCacheBudget&) = delete;

  std::size_t capacity_bytes() const { return capacity_bytes_; }
  std::size_t used_bytes() const { return used_bytes_; }

 private:
  friend class TailCache;
  struct Entry {
    TailCache* owner;
    CachedBatch batch;
  };
  using Entries = std::list<Entry>;

  std::size_t capacity_bytes_;
  std::size_t used_bytes_ = 0;
  Entries by_age_;  // oldest first, of all caches
};

class TailCache {
 public:
  static constexpr std::size_t kOverheadBytes =
      128;  // of one batch: its entry, its place in the index

  explicit TailCache(TailCacheBudget& budget) : budget_(budget) {}
  ~TailCache() { clear(); }
  TailCache(const TailCache&) = delete;
  TailCache& operator=(const TailCache&) = delete;

  // Adds the batch behind the last one; after a gap the older ones are dropped first. A batch over
  // the whole budget is not kept. May evict batches of any cache of the budget.
  void append(Offset base_offset, std::uint32_t count, SharedBytes bytes);

  // The batch that holds `offset`; null when it is not here. Valid until the next append to any
  // cache of the budget, truncate or clear. The next one is find(batch->end_offset).
  const CachedBatch* find(Offset offset) const;

  void drop_below(Offset start);  // drops batches that end there or below
  void truncate(Offset from);     // drops batches that end above `from`
  void clear() { truncate(0); }

  bool empty() const { return index_.empty(); }
  std::size_t batches() const { return index_.size(); }
  Offset first_offset() const { return empty() ? kNoOffset : index_.front()->batch.base_offset; }

 private:
  void pop_oldest();
  void pop_newest();
  void release(TailCacheBudget::Entries::iterator entry);

  TailCacheBudget& budget_;
  std::deque<TailCacheBudget::Entries::iterator> index_;  // ascending offsets
};

}  // namespace andyx::server
