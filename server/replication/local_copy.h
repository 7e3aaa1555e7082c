// What this node holds of a partition. Outlives its roles: MainCore and ReplicaCore, of which there
// is at most one at a time, read and move it. Value; on the partition's loop.
#pragma once

#include "protocol/base/ids.h"
#include "server/replication/epoch_table.h"

namespace andyx::server {

struct LocalCopy {
  Offset start = 0;      // the first offset held; moved by retention and resets
  Offset end = 0;        // one past the last handed to storage
  Offset durable = 0;    // one past the last durable here
  Offset committed = 0;  // as far as known here; not persisted: after a start, the log's start
  EpochTable epochs;     // of the records up to `end`
};

// A batch of a log, as far as replication cares.
struct BatchSpan {
  MainEpoch epoch = 0;
  Offset base = 0;
  Offset end = 0;

  bool operator==(const BatchSpan&) const = default;
};

}  // namespace andyx::server
