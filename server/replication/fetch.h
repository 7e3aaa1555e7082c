// What a replica and its main tell each other about one partition (the entries of a pull session).
// Values.
#pragma once

#include <cstdint>

#include "protocol/base/ids.h"
#include "server/replication/replication_record.h"

namespace andyx::server {

struct FetchEntry {
  NodeId replica = 0;
  Incarnation incarnation = 0;
  MainEpoch main_epoch = 0;   // the epoch in which the replica follows
  std::uint64_t request = 0;  // rises with each entry of one incarnation; comes back in the answer
  Offset fetch_offset = 0;    // the end of the replica's log
  MainEpoch last_epoch = 0;   // of the last record that it holds; 0: it never held any
  Offset durable = 0;         // not above fetch_offset
  // Nothing is asked for, only `durable` told, while the poll stays where it is. Sent only after
  // the main has answered in this epoch that the logs match.
  bool progress_only = false;

  bool operator==(const FetchEntry&) const = default;
};

enum class FetchRefusal : std::uint8_t {
  kWrongEpoch,        // the main is of another epoch, or no main (any more)
  kUnknownReplica,    // not a copy of this partition
  kStaleIncarnation,  // the replica's node has registered anew, or the main does not know it yet
  kMalformed,         // offsets that contradict each other
};

struct FetchAnswer {
  enum class Kind : std::uint8_t {
    kMatched,   // the logs are the same below `from`; the records [from, to) come along, or none
    kDiverged,  // they differ: the main's records of the epochs up to `epoch` end at `epoch_end`
    kReset,     // nothing in common is left: begin anew, empty, at `start`
    kRefused,   // see `refusal`
  };
  Kind kind = Kind::kRefused;
  MainEpoch main_epoch = 0;
  // Of the entry. Both: a late answer to an earlier life of the replica may speak of another disk.
  Incarnation incarnation = 0;
  std::uint64_t request = 0;
  FetchRefusal refusal = FetchRefusal::kWrongEpoch;
  Offset from = 0, to = 0;
  MainEpoch epoch = 0;
  Offset epoch_end = 0;
  Offset start = 0;      // of the main's log
  Offset durable = 0;    // on the main
  Offset committed = 0;  // as the main knows it

  bool operator==(const FetchAnswer&) const = default;
};

}  // namespace andyx::server
