// The in-memory twin of the durable store: for transcripts, tests and the simulator.
#pragma once

#include "raft/core/log_storage.h"

namespace andyx::raft {

class MemoryLogStorage final : public LogStorage {
 public:
  MemoryLogStorage();

  InitialState initial_state() const override;
  Index first_index() const override;
  Index last_index() const override;
  std::expected<Term, LogFault> term(Index index) const override;
  std::expected<std::vector<Entry>, LogFault> entries(Index low, Index high,
                                                      std::uint64_t max_bytes) const override;
  std::expected<SnapshotPtr, LogFault> snapshot() const override { return snapshot_; }

  void set_hard_state(const HardState& hard) { hard_ = hard; }
  const HardState& hard_state() const { return hard_; }
  // Replaces everything by the snapshot; false (and nothing done) when it is not newer.
  bool apply_snapshot(SnapshotPtr snapshot);
  // Records that the state machine at `index` is `data`, for later snapshot(); keeps the entries.
  bool create_snapshot(Index index, const ConfState& conf, SharedBytes data);
  // Forgets entries up to `index` (inclusive), which must be applied. False: already forgotten.
  bool compact(Index index);
  // Continues or overwrites the log from entries[0].index on; what is compacted is skipped. A gap
  // is a bug and aborts.
  void append(const std::vector<Entry>& entries);

 private:
  HardState hard_;
  SnapshotPtr snapshot_;
  std::vector<Entry> entries_;  // [0] stands for the entry before first_index: term and index only
};

}  // namespace andyx::raft
