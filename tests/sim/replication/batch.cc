#include "tests/sim/replication/batch.h"

#include <algorithm>

namespace andyx::server::sim {

namespace {

Offset end_of(const Batch& batch) { return batch.header.end_offset(); }

}  // namespace

std::vector<Batch> SimLog::range(Offset from, Offset to) const {
  const auto first = std::ranges::upper_bound(batches_, from, {}, end_of);
  const auto last = std::ranges::upper_bound(batches_, to, {}, end_of);
  return first < last ? std::vector<Batch>(first, last) : std::vector<Batch>();
}

const Batch* SimLog::holder(Offset offset) const {
  const auto found = std::ranges::upper_bound(batches_, offset, {}, end_of);
  return found == batches_.end() ? nullptr : &*found;
}

std::uint64_t SimLog::record(Offset offset) const {
  const Batch* batch = holder(offset);
  return batch == nullptr ? 0 : batch->operation << 8 | (offset - batch->header.base_offset);
}

}  // namespace andyx::server::sim
