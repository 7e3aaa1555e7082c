// An ordered index of shared immutable items that is itself a value: copying it costs one pointer,
// and a changed copy shares all but one chunk with the original. Two levels: a spine of chunks of
// sorted items, so that a change copies O(items / chunk) + O(chunk) pointers. Keeps the wrapping
// sum of its items' hash_content(), which makes the hash of a whole image incremental.
//
// Immutable once shared: readers on any thread need no lock.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace andyx::server {

// `KeyOf::key(const T&)` gives the key; keys are unique. `hash_content(const T&)` stands
// in the namespace of T.
template <typename T, typename KeyOf>
class SharedIndex {
 public:
  using Item = std::shared_ptr<const T>;

  class Iterator {
   public:
    const T& operator*() const { return *(*(*spine_)[chunk_])[slot_]; }
    const T* operator->() const { return &**this; }
    const Item& item() const { return (*(*spine_)[chunk_])[slot_]; }
    Iterator& operator++() {
      if (++slot_ == (*spine_)[chunk_]->size()) {
        ++chunk_;
        slot_ = 0;
      }
      return *this;
    }
    bool operator==(const Iterator& other) const {
      return chunk_ == other.chunk_ && slot_ == other.slot_;
    }

   private:
    friend class SharedIndex;
    using SpinePointer = const std::vector<std::shared_ptr<const std::vector<Item>>>*;
    Iterator(SpinePointer spine, std::size_t chunk, std::size_t slot)
        : spine_(spine), chunk_(chunk), slot_(slot) {}
    SpinePointer spine_;
    std::size_t chunk_;
    std::size_t slot_;
  };

  // Of items in the order of their keys, which differ. O(n), where n puts would copy the spine n
  // times.
  static SharedIndex from_sorted(std::vector<Item> items) {
    SharedIndex index;
    Spine spine;
    for (std::size_t at = 0; at < items.size(); at += kBulkChunkItems) {
      const std::size_t end = std::min(at + kBulkChunkItems, items.size());
      Chunk chunk;
      chunk.reserve(end - at);
      for (std::size_t i = at; i < end; ++i) {
        assert(i == 0 || KeyOf::key(*items[i - 1]) < KeyOf::key(*items[i]));
        index.content_hash_ += hash_of(*items[i]);
        chunk.push_back(items[i]);
      }
      spine.push_back(std::make_shared<const Chunk>(std::move(chunk)));
    }
    index.size_ = items.size();
    index.publish(std::move(spine));
    return index;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::uint64_t content_hash() const { return content_hash_; }
  // True: nothing was put or erased between the two. False says nothing.
  bool is_same_as(const SharedIndex& other) const { return spine_ == other.spine_; }

  // In the order of keys. Valid as long as this index, or a copy of it, lives unchanged.
  Iterator begin() const { return Iterator(&*spine_, 0, 0); }
  Iterator end() const { return Iterator(&*spine_, spine_->size(), 0); }

  // The first item whose key is not below `key`.
  template <typename Key>
  Iterator lower_bound(const Key& key) const {
    const std::size_t chunk = chunk_of(key);
    if (chunk == spine_->size()) return end();
    return Iterator(&*spine_, chunk, slot_of(*(*spine_)[chunk], key));
  }

  // Null when there is none.
  template <typename Key>
  Item find(const Key& key) const {
    const Iterator found = lower_bound(key);
    if (found == end() || key < KeyOf::key(*found)) return nullptr;
    return found.item();
  }

  // Inserts, or replaces the item with the same key.
  void put(Item item) {
    assert(item);
    const auto& key = KeyOf::key(*item);
    content_hash_ += hash_of(*item);
    Spine spine = *spine_;
    if (spine.empty()) {
      spine.push_back(std::make_shared<const Chunk>(Chunk{std::move(item)}));
      size_ = 1;
      publish(std::move(spine));
      return;
    }
    const std::size_t at = std::min(chunk_of(key), spine.size() - 1);
    Chunk chunk = *spine[at];
    const std::size_t slot = slot_of(chunk, key);
    if (slot < chunk.size() && !(key < KeyOf::key(*chunk[slot]))) {
      content_hash_ -= hash_of(*chunk[slot]);
      chunk[slot] = std::move(item);
      spine[at] = std::make_shared<const Chunk>(std::move(chunk));
    } else {
      chunk.insert(chunk.begin() + static_cast<std::ptrdiff_t>(slot), std::move(item));
      ++size_;
      store_split(spine, at, std::move(chunk));
    }
    publish(std::move(spine));
  }

  // False when there is no such item.
  template <typename Key>
  bool erase(const Key& key) {
    const Iterator found = lower_bound(key);
    if (found == end() || key < KeyOf::key(*found)) return false;
    content_hash_ -= hash_of(*found);
    --size_;
    Spine spine = *spine_;
    Chunk chunk = *spine[found.chunk_];
    chunk.erase(chunk.begin() + static_cast<std::ptrdiff_t>(found.slot_));
    if (chunk.empty()) {
      spine.erase(spine.begin() + static_cast<std::ptrdiff_t>(found.chunk_));
    } else {
      spine[found.chunk_] = std::make_shared<const Chunk>(std::move(chunk));
    }
    publish(std::move(spine));
    return true;
  }

 private:
  static constexpr std::size_t kMaxChunkItems = 128;
  static constexpr std::size_t kBulkChunkItems = 96;  // leaves room for puts
  using Chunk = std::vector<Item>;                    // never empty
  using Spine = std::vector<std::shared_ptr<const Chunk>>;

  static std::uint64_t hash_of(const T& item) { return hash_content(item); }

  // The first chunk whose last key is not below `key`.
  template <typename Key>
  std::size_t chunk_of(const Key& key) const {
    const auto below = [](const auto& chunk, const Key& k) {
      return KeyOf::key(*chunk->back()) < k;
    };
    return static_cast<std::size_t>(std::lower_bound(spine_->begin(), spine_->end(), key, below) -
                                    spine_->begin());
  }

  template <typename Key>
  static std::size_t slot_of(const Chunk& chunk, const Key& key) {
    const auto below = [](const Item& item, const Key& k) { return KeyOf::key(*item) < k; };
    return static_cast<std::size_t>(std::lower_bound(chunk.begin(), chunk.end(), key, below) -
                                    chunk.begin());
  }

  static void store_split(Spine& spine, std::size_t at, Chunk chunk) {
    if (chunk.size() <= kMaxChunkItems) {
      spine[at] = std::make_shared<const Chunk>(std::move(chunk));
      return;
    }
    const auto middle = chunk.begin() + static_cast<std::ptrdiff_t>(chunk.size() / 2);
    auto upper = std::make_shared<const Chunk>(middle, chunk.end());
    spine[at] = std::make_shared<const Chunk>(chunk.begin(), middle);
    spine.insert(spine.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(upper));
  }

  void publish(Spine spine) { spine_ = std::make_shared<const Spine>(std::move(spine)); }

  std::shared_ptr<const Spine> spine_ = std::make_shared<const Spine>();
  std::size_t size_ = 0;
  std::uint64_t content_hash_ = 0;
};

}  // namespace andyx::server
