// What the core reads of its stable log. The host writes it, as Ready says.
#pragma once

#include <cstdint>
#include <expected>
#include <vector>

#include "raft/core/types.h"

namespace andyx::raft {

enum class LogFault : std::uint8_t {
  kCompacted,         // below first_index - 1: a snapshot covers it
  kUnavailable,       // behind last_index
  kSnapshotNotReady,  // being prepared: ask again later
};

// Threads: the core calls from its own thread. An implementation whose writes go on in another
// thread answers from memory or under its own lock. A storage that cannot read any more must stop
// its host (it may not answer wrongly).
class LogStorage {
 public:
  virtual ~LogStorage() = default;

  struct InitialState {
    HardState hard;
    ConfState conf;  // of the newest snapshot
  };
  virtual InitialState initial_state() const = 0;

  // Of the first entry that is there; behind the newest compaction. 1 in an empty storage.
  virtual Index first_index() const = 0;
  // first_index() - 1 where no entry is there.
  virtual Index last_index() const = 0;
  // [first_index - 1, last_index]
  virtual std::expected<Term, LogFault> term(Index index) const = 0;
  // [low, high): the longest prefix within `max_bytes` (Entry::encoded_bytes), at least one.
  virtual std::expected<std::vector<Entry>, LogFault> entries(Index low, Index high,
                                                              std::uint64_t max_bytes) const = 0;
  // The newest snapshot (index 0: none was ever taken).
  virtual std::expected<SnapshotPtr, LogFault> snapshot() const = 0;
};

}  // namespace andyx::raft
