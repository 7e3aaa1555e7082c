// The part of the log that is not known to be in stable storage: entries, and at most one snapshot
// that a leader has sent. What is being written stays here until the storage has confirmed it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "raft/core/config.h"
#include "raft/core/types.h"

namespace andyx::raft {

class UnstableLog {
 public:
  UnstableLog(Index offset, Logger& logger)
      : offset_(offset), in_progress_(offset), logger_(logger) {}

  // Index of entries()[0]; may be below the end of stable storage, which is then overwritten.
  Index offset() const { return offset_; }
  Index in_progress() const { return in_progress_; }
  std::span<const Entry> entries() const { return entries_; }
  const SnapshotPtr& snapshot() const { return snapshot_; }

  std::optional<Index> first_index() const;  // known only with a snapshot
  std::optional<Index> last_index() const;
  std::optional<Term> term(Index index) const;

  // What is not yet being written.
  std::span<const Entry> next_entries() const;
  SnapshotPtr next_snapshot() const { return snapshot_in_progress_ ? nullptr : snapshot_; }
  void accept_in_progress();  // it is, from now on

  // Entries up to (term, index) are stable, and no write under way can overwrite them.
  void stable_to(Term term, Index index);
  void stable_snapshot_to(Index index);

  void restore(SnapshotPtr snapshot);
  // Replaces what stands from entries[0].index on.
  void truncate_and_append(std::span<const Entry> entries);

 private:
  SnapshotPtr snapshot_;
  std::vector<Entry> entries_;
  Index offset_;
  bool snapshot_in_progress_ = false;
  Index in_progress_;  // behind the last entry that is being written; >= offset_
  Logger& logger_;
};

}  // namespace andyx::raft
