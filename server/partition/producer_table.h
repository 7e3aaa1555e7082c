// What a partition remembers of its idempotent producers: the last batches of each, so that a retry
// is recognised and answered with the offset of its original (rule 7 of Replication in the design).
//
// Pure: no IO, no clock. One thread (the partition's loop); lives as long as its partition. Part of
// the partition's durable state: rebuilt from a snapshot plus replay() of the log behind it, and
// rolled back with the log. Bounds: limits::kMaxProducersPerPartition (the one unused for longest
// is forgotten) and limits::kProducerIdleMs.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/batch/batch_reader.h"

namespace andyx::server {

// Ids from here on are the server's own (dead letters): such a producer may begin at any sequence
// and leave gaps; what is not above its last sequence is a duplicate.
inline constexpr ProducerId kInternalProducers = ProducerId{1} << 63;

// One remembered batch.
struct ProducerBatch {
  std::uint64_t sequence = 0;
  Offset base_offset = 0;
  Offset end_offset = 0;
  TimeUs append_time_us = 0;

  bool operator==(const ProducerBatch&) const = default;
};

class ProducerTable {
 public:
  ProducerTable() = default;
  ProducerTable(ProducerTable&&) = default;  // moved only: entries point into the list
  ProducerTable& operator=(ProducerTable&&) = default;

  struct Verdict {
    bool duplicate = false;
    ProducerBatch original;  // of a duplicate: where it was stored
  };

  // May this batch be appended? Looks at producer id, epoch, sequence and count only. Producer id 0
  // is always new. Errors:
  //   kUnknownProducer   sequence > 0 of a producer not known here (new partition, or forgotten)
  //   kProducerFenced    a newer epoch of this producer has written here
  //   kOutOfSequence     a gap, a new epoch that does not start at 0, or other bytes under a known
  //   sequence kDuplicateUnknown  stored before, older than what is remembered
  Result<Verdict> check(const batch::Header& header) const;

  // Remembers a batch that check() called new, with its base offset and append time assigned.
  void record(const batch::Header& header);

  // A durable batch read back from the log, in log order.
  void replay(const batch::Header& header);

  // Everything below `end` is durable. Batches above are all remembered, however many, so that
  // rollback(from >= durable end) is exact.
  void durable(Offset end);

  // The log was cut: batches that end above `from` never happened. False when too much was cut to
  // know the next sequence of some producer (only possible below the durable end): rebuild from
  // snapshot + log.
  [[nodiscard]] bool rollback(Offset from);

  // Forgets producers that wrote nothing for limits::kProducerIdleMs. Returns how many.
  std::size_t evict_idle(TimeUs now_us);

  std::size_t size() const { return producers_.size(); }

  // Compact and versioned; carries `covered`, the log offset up to which it speaks (replay from
  // there). Only batches that end at or below `covered` are written.
  std::vector<std::uint8_t> encode(Offset covered) const;
  struct Snapshot;
  static Result<Snapshot> decode(ByteSpan bytes);  // kCorrupt

 private:
  struct Producer {
    std::uint32_t epoch = 0;
    std::uint64_t next_sequence = 0;
    TimeUs last_append_time_us = 0;
    Offset last_end_offset = 0;  // of the last batch recorded, rolled back or not
    // Ascending: the last kProducerBatchesRemembered durable ones, and all above.
    std::vector<ProducerBatch> batches;
    std::list<ProducerId>::iterator position;
  };

  Producer& touch(ProducerId id);
  void trim(Producer& producer) const;

  std::unordered_map<ProducerId, Producer> producers_;
  std::list<ProducerId> by_use_;  // least recently used first
  Offset durable_ = 0;
};

struct ProducerTable::Snapshot {
  ProducerTable table;
  Offset covered = 0;
};

}  // namespace andyx::server
