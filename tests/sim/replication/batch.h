// A batch of a simulated log: who sent it, and where it stands. Its records are told apart by the
// operation and their place in it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/batch/batch_reader.h"
#include "server/replication/local_copy.h"

namespace andyx::server::sim {

using OperationId = std::uint64_t;  // of a producer's send, all attempts of it; from 1

struct Batch {
  OperationId operation = 0;
  batch::Header header;  // epoch, offsets, producer, sequence
  // Of a record of the internal log: its bytes (cursor_record.h).
  std::shared_ptr<const std::vector<std::uint8_t>> payload = {};

  BatchSpan span() const { return {header.main_epoch, header.base_offset, header.end_offset()}; }
};

// A log from offset 0 on without gaps; what retention has removed is kept for the checks.
class SimLog {
 public:
  Offset end() const { return batches_.empty() ? 0 : batches_.back().header.end_offset(); }
  const std::vector<Batch>& batches() const { return batches_; }
  void append(const Batch& batch) { batches_.push_back(batch); }
  void cut(Offset from) {
    while (end() > from) batches_.pop_back();
  }
  std::vector<Batch> range(Offset from, Offset to) const;  // whole batches of [from, to)
  const Batch* holder(Offset offset) const;                // null: not there
  std::uint64_t record(Offset offset) const;               // operation and place; 0: not there

 private:
  std::vector<Batch> batches_;
};

}  // namespace andyx::server::sim
