// Disjoint ranges of offsets with a value each, ascending; touching ranges of equal value are one.
// Pure; one thread. Kept in sorted chunks: appending at the end and removing at the front cost
// O(1), anything else O(log n) plus a move within one chunk. An empty map owns at most one small
// chunk: there are many of them.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/base/ids.h"

namespace andyx::server {

// Offsets first..last, both included.
struct OffsetRange {
  Offset first = 0;
  Offset last = 0;

  bool operator==(const OffsetRange&) const = default;
};

struct Nothing {
  bool operator==(const Nothing&) const = default;
};

template <typename V>
class RangeMap {
 public:
  struct Entry {
    Offset first = 0;
    Offset last = 0;
    [[no_unique_address]] V value{};

    bool operator==(const Entry&) const = default;
  };

  std::size_t size() const { return size_; }  // ranges
  bool empty() const { return size_ == 0; }
  std::uint64_t offsets() const { return offsets_; }  // covered by all ranges

  // The first range that ends at or above `offset`; valid until the next change.
  const Entry* lower(Offset offset) const {
    const Place place = find(offset);
    return place.chunk == chunks_.size() ? nullptr : &chunks_[place.chunk][place.index];
  }
  bool contains(Offset offset) const {
    const Entry* entry = lower(offset);
    return entry != nullptr && entry->first <= offset;
  }

  // Adds first..last, which must be free.
  void insert(Offset first, Offset last, const V& value = {}) {
    assert(first <= last);
    offsets_ += last - first + 1;
    Place place = find(first);
    Entry* next = place.chunk == chunks_.size() ? nullptr : &chunks_[place.chunk][place.index];
    assert(next == nullptr || next->first > last);
    Entry* previous = before(place);
    const bool joins_previous =
        previous != nullptr && previous->last + 1 == first && previous->value == value;
    const bool joins_next = next != nullptr && last + 1 == next->first && next->value == value;
    if (joins_previous && joins_next) {
      previous->last = next->last;
      erase(place);
    } else if (joins_previous) {
      previous->last = last;
    } else if (joins_next) {
      next->first = first;
    } else {
      insert_at(place, Entry{first, last, value});
    }
  }

  // Removes whatever lies in first..last, and calls visit(const Entry&) for each removed piece,
  // ascending. The map may not be used from inside.
  template <typename Visit>
  void cut(Offset first, Offset last, Visit&& visit) {
    if (first > last) return;
    Place place = find(first);
    while (place.chunk < chunks_.size()) {
      Entry& entry = chunks_[place.chunk][place.index];
      if (entry.first > last) return;
      const Entry whole = entry;
      const Entry piece{std::max(whole.first, first), std::min(whole.last, last), whole.value};
      offsets_ -= piece.last - piece.first + 1;
      const bool keeps_head = whole.first < piece.first;
      const bool keeps_tail = whole.last > piece.last;
      if (keeps_head && keeps_tail) {
        entry.last = piece.first - 1;
        insert_at(after(place), Entry{piece.last + 1, whole.last, whole.value});
        visit(piece);
        return;
      }
      if (keeps_tail) {
        entry.first = piece.last + 1;
        visit(piece);
        return;
      }
      if (keeps_head) {
        entry.last = piece.first - 1;
        place = normalise(after(place));
      } else {
        place = erase(place);
      }
      visit(piece);
    }
  }
  void cut(Offset first, Offset last) {
    cut(first, last, [](const Entry&) {});
  }

  void clear() {
    chunks_ = {};
    size_ = 0;
    offsets_ = 0;
  }

  // Calls visit(const Entry&) for all ranges, ascending.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Chunk& chunk : chunks_)
      for (const Entry& entry : chunk) visit(entry);
  }

  // Calls visit(first, last) for what of it lies in first..last, ascending.
  template <typename Visit>
  void for_each_in(Offset first, Offset last, Visit&& visit) const {
    if (first > last) return;
    for (const Entry* entry = lower(first); entry != nullptr && entry->first <= last;
         entry = lower(entry->last + 1))
      visit(std::max(entry->first, first), std::min(entry->last, last));
  }

 private:
  using Chunk = std::vector<Entry>;
  static constexpr std::size_t kChunkEntries = 64;
  static constexpr std::size_t kIdleEntries = 4;

  struct Place {
    std::size_t chunk = 0;  // == chunks_.size(): the end
    std::size_t index = 0;
  };

  // The first entry whose last >= offset.
  Place find(Offset offset) const {
    const auto chunk = std::partition_point(chunks_.begin(), chunks_.end(), [&](const Chunk& c) {
      return c.empty() || c.back().last < offset;
    });
    if (chunk == chunks_.end()) return {chunks_.size(), 0};
    const auto entry = std::partition_point(chunk->begin(), chunk->end(),
                                            [&](const Entry& e) { return e.last < offset; });
    return {static_cast<std::size_t>(chunk - chunks_.begin()),
            static_cast<std::size_t>(entry - chunk->begin())};
  }

  Entry* before(Place place) {
    if (place.chunk < chunks_.size() && place.index > 0)
      return &chunks_[place.chunk][place.index - 1];
    if (place.chunk == 0 || chunks_[place.chunk - 1].empty()) return nullptr;
    return &chunks_[place.chunk - 1].back();
  }

  static Place after(Place place) { return {place.chunk, place.index + 1}; }

  // A place one past a chunk's last entry is the next chunk's first.
  Place normalise(Place place) const {
    if (place.chunk < chunks_.size() && place.index == chunks_[place.chunk].size())
      return {place.chunk + 1, 0};
    return place;
  }

  // `place` may be one past the last entry of its chunk, or the end.
  void insert_at(Place place, const Entry& entry) {
    ++size_;
    if (place.chunk == chunks_.size()) {
      if (chunks_.empty() || chunks_.back().size() == kChunkEntries) {
        chunks_.emplace_back();
        chunks_.back().reserve(chunks_.size() == 1 ? kIdleEntries : kChunkEntries);
      }
      chunks_.back().push_back(entry);
      return;
    }
    if (chunks_[place.chunk].size() == kChunkEntries) {
      Chunk upper;
      upper.reserve(kChunkEntries);
      Chunk& lower_half = chunks_[place.chunk];
      constexpr std::size_t kHalf = kChunkEntries / 2;
      upper.assign(lower_half.begin() + kHalf, lower_half.end());
      lower_half.resize(kHalf);
      chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(place.chunk) + 1,
                     std::move(upper));
      if (place.index > kHalf) place = {place.chunk + 1, place.index - kHalf};
    }
    Chunk& chunk = chunks_[place.chunk];
    chunk.insert(chunk.begin() + static_cast<std::ptrdiff_t>(place.index), entry);
  }

  // Returns the place of the entry that followed.
  Place erase(Place place) {
    --size_;
    Chunk& chunk = chunks_[place.chunk];
    chunk.erase(chunk.begin() + static_cast<std::ptrdiff_t>(place.index));
    if (!chunk.empty()) return normalise(place);
    if (chunks_.size() == 1) {
      if (chunk.capacity() > kIdleEntries) chunks_ = {};
      return {chunks_.size(), 0};
    }
    chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(place.chunk));
    return {place.chunk, 0};
  }

  std::vector<Chunk> chunks_;  // none empty, except an only one
  std::size_t size_ = 0;
  std::uint64_t offsets_ = 0;
};

}  // namespace andyx::server
