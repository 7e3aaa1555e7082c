// The durable changes of subscriptions, and their bytes (cursor_record.fbs): records of a
// partition's internal log, and snapshots. Values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"
#include "server/subscription/due_key.h"
#include "server/subscription/offset_set.h"

namespace andyx::server {

// Messages that were delivered and came back unanswered (unacknowledged, or their consumer went).
struct RedeliveryRange {
  Offset first = 0;
  Offset last = 0;
  TimeUs first_delivered_us = 0;
  std::uint32_t count = 0;  // how often each was delivered before
  TimeUs due_us = 0;        // wall clock: not delivered again before; 0: at once

  bool operator==(const RedeliveryRange&) const = default;
};

struct CursorChange {
  enum class Kind : std::uint8_t {
    kUpdate = 0,   // adds `answered` and `redeliveries`, raises the floor
    kState = 1,    // replaces everything: created, reset, snapshot
    kDeleted = 2,  // the subscription is gone
  };

  SubscriptionId subscription = 0;
  Kind kind = Kind::kUpdate;
  Offset floor = 0;
  std::uint64_t skipped = 0;                  // since creation
  std::vector<OffsetRange> answered;          // kState: all, ascending and disjoint
  std::vector<RedeliveryRange> redeliveries;  // applied last; of what is answered then, ignored
  Offset start = 0;                           // delayed messages below are not its own
  DueKey due_cursor;
  std::uint64_t delayed = 0;            // passed, and behind the cursor
  std::vector<OffsetRange> matured;     // due and unanswered, though `answered` passed them
  std::uint64_t dead_lettered = 0;      // since creation; the next one's sequence
  std::vector<OffsetRange> dead_round;  // all of the round under way, ascending

  bool operator==(const CursorChange&) const = default;
};

// One record may carry changes of many subscriptions of the partition, in order; change_bytes()
// tells what each adds. A single change always fits into limits::kMaxMessageBytes. `due_removed`:
// rows of the due index up to there are needed by nobody any more, where this and all earlier
// records are durable. `covered`: for snapshots only.
std::vector<std::uint8_t> encode_cursor_record(std::span<const CursorChange> changes,
                                               DueKey due_removed = {}, Offset covered = 0);
std::size_t change_bytes(const CursorChange& change);  // upper bound of its share of a record

struct CursorRecord {
  Offset covered = 0;
  DueKey due_removed;
  std::vector<CursorChange> changes;
};
Result<CursorRecord> decode_cursor_record(ByteSpan bytes);  // kCorrupt

}  // namespace andyx::server
