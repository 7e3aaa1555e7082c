// The partitions of a topic, by index. A value: copies share what did not change, so that a change
// of one record costs a chunk of pointers, however many partitions there are, and what differs
// between two lists is found by comparing pointers. Keeps the wrapping sum of its records' hashes.
//
// Immutable once shared: readers on any thread need no lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

#include "server/metadata/partition_record.h"

namespace andyx::server {

class PartitionList {
 public:
  using Item = std::shared_ptr<const PartitionRecord>;

  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = PartitionRecord;
    using difference_type = std::ptrdiff_t;
    using pointer = const PartitionRecord*;
    using reference = const PartitionRecord&;

    Iterator() = default;
    reference operator*() const { return (*list_)[index_]; }
    pointer operator->() const { return &**this; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++index_;
      return before;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    friend class PartitionList;
    Iterator(const PartitionList& list, std::size_t index) : list_(&list), index_(index) {}
    const PartitionList* list_ = nullptr;
    std::size_t index_ = 0;
  };

  PartitionList() = default;
  explicit PartitionList(std::vector<PartitionRecord> records);  // the one with index i at place i

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::uint64_t content_hash() const { return content_hash_; }

  // Valid as long as this list, or a copy of it, lives unchanged.
  const PartitionRecord& operator[](std::size_t index) const { return *item(index); }
  const PartitionRecord& front() const { return (*this)[0]; }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size_}; }
  std::vector<PartitionRecord> records() const { return {begin(), end()}; }

  // In place of the one with its index, or as the last one.
  void put(PartitionRecord record);

  bool operator==(const PartitionList& other) const;

  // `visit(was, is)` for each index whose record is another object; null where one list has none.
  template <typename Visit>
  static void each_difference(const PartitionList& before, const PartitionList& after,
                              Visit visit) {
    if (before.spine_ == after.spine_) return;
    const std::size_t end = before.size_ > after.size_ ? before.size_ : after.size_;
    for (std::size_t at = 0; at < end; at += kChunkItems) {
      if (before.chunk_at(at) == after.chunk_at(at)) continue;
      for (std::size_t i = at; i < end && i < at + kChunkItems; ++i) {
        const PartitionRecord* was = i < before.size_ ? &before[i] : nullptr;
        const PartitionRecord* is = i < after.size_ ? &after[i] : nullptr;
        if (was != is) visit(was, is);
      }
    }
  }

 private:
  static constexpr std::size_t kChunkItems = 64;
  using Chunk = std::vector<Item>;  // full, but for the last one
  using Spine = std::vector<std::shared_ptr<Chunk>>;

  const Item& item(std::size_t index) const {
    return (*(*spine_)[index / kChunkItems])[index % kChunkItems];
  }
  const Chunk* chunk_at(std::size_t index) const {
    const std::size_t chunk = index / kChunkItems;
    return chunk < spine_->size() ? (*spine_)[chunk].get() : nullptr;
  }
  Chunk& own_chunk(std::size_t chunk);

  // Changed in place only while nobody shares it.
  std::shared_ptr<Spine> spine_ = std::make_shared<Spine>();
  std::size_t size_ = 0;
  std::uint64_t content_hash_ = 0;
};

std::uint64_t hash_content(const PartitionRecord& partition);

}  // namespace andyx::server
