#include "server/metadata/partition_list.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace andyx::server {

PartitionList::PartitionList(std::vector<PartitionRecord> records) {
  for (PartitionRecord& record : records) put(std::move(record));
}

// Made this list's alone first. Behind the last one: a new, empty one.
PartitionList::Chunk& PartitionList::own_chunk(std::size_t chunk) {
  if (spine_.use_count() > 1) spine_ = std::make_shared<Spine>(*spine_);
  if (chunk == spine_->size()) {
    spine_->push_back(std::make_shared<Chunk>());
    spine_->back()->reserve(kChunkItems);
  } else if ((*spine_)[chunk].use_count() > 1) {
    (*spine_)[chunk] = std::make_shared<Chunk>(*(*spine_)[chunk]);
  }
  return *(*spine_)[chunk];
}

void PartitionList::put(PartitionRecord record) {
  const std::size_t index = record.index;
  assert(index <= size_);
  Chunk& chunk = own_chunk(index / kChunkItems);
  content_hash_ += hash_content(record);
  auto shared = std::make_shared<const PartitionRecord>(std::move(record));
  if (index == size_) {
    chunk.push_back(std::move(shared));
    ++size_;
    return;
  }
  Item& place = chunk[index % kChunkItems];
  content_hash_ -= hash_content(*place);
  place = std::move(shared);
}

bool PartitionList::operator==(const PartitionList& other) const {
  return spine_ == other.spine_ || std::ranges::equal(*this, other);
}

}  // namespace andyx::server
