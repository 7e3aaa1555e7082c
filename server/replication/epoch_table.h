// Which main epoch the records of a log were written in: the start offset of each epoch that has
// any. Two logs are the same up to where an epoch that both know ends first, because one main alone
// writes in an epoch and gives each offset once (KIP-101).
//
// Pure values. Belongs to one copy of a partition, on its loop; persisted with the small state, in
// the write group of the batch that begins an epoch, and cut with the log.
#pragma once

#include <optional>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"

namespace andyx::server {

class EpochTable {
 public:
  struct Entry {
    MainEpoch epoch = 0;
    Offset start = 0;

    bool operator==(const Entry&) const = default;
  };

  // A batch of `epoch` begins at `start`, the end of the log. True when that begins the epoch: the
  // table has changed. `epoch` is not below last_epoch(). Over
  // limits::kMaxMainEpochsPerPartition the oldest is forgotten: a replica that asks for it
  // copies the log anew.
  bool record(MainEpoch epoch, Offset start);

  // Of the last record; 0: nothing was ever recorded.
  MainEpoch last_epoch() const { return entries_.empty() ? 0 : entries_.back().epoch; }

  // The largest epoch not above `asked`, and where its records end; `log_end` ends the last one.
  // Nothing: all that is known here is of later epochs.
  struct End {
    MainEpoch epoch = 0;
    Offset end = 0;
  };
  std::optional<End> end_of(MainEpoch asked, Offset log_end) const;

  // The log was cut at `from`.
  void truncate(Offset from);
  // The log begins at `start` now. The epoch of the record before `start` is kept, so that an
  // emptied log still knows its last epoch.
  void trim(Offset start);
  // The log is empty and begins anew somewhere else.
  void clear() { entries_.clear(); }

  const std::vector<Entry>& entries() const { return entries_; }
  bool operator==(const EpochTable&) const = default;

  // Compact and versioned.
  std::vector<std::uint8_t> encode() const;
  static Result<EpochTable> decode(ByteSpan bytes);  // kCorrupt

 private:
  std::vector<Entry> entries_;  // both ascending
};

}  // namespace andyx::server
