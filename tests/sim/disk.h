// A node's disk: what the process sees, and what would be there after a crash. Writes are records
// in order; a sync makes all of them durable; a crash keeps a prefix of what was not synced (an
// entry is a record, so an append may be torn in the middle; a record that was torn itself is found
// by its checksum and cut off, so it is as good as not there).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/core/memory_log_storage.h"
#include "tests/sim/machine.h"
#include "tests/sim/rng.h"

namespace andyx::raft::sim {

class Disk final : public LogStorage {
 public:
  // LogStorage: as the process sees it.
  InitialState initial_state() const override;
  Index first_index() const override { return seen_.first_index(); }
  Index last_index() const override { return seen_.last_index(); }
  std::expected<Term, LogFault> term(Index index) const override { return seen_.term(index); }
  std::expected<std::vector<Entry>, LogFault> entries(Index low, Index high,
                                                      std::uint64_t max_bytes) const override;
  std::expected<SnapshotPtr, LogFault> snapshot() const override;

  // A member of a new group starts from this, durable.
  void format(SnapshotPtr snapshot, const HardState& hard);

  void write(const std::vector<Entry>& entries);
  void write(const HardState& hard);
  // Installs a received snapshot; atomic with the hard state.
  void write(SnapshotPtr snapshot, const std::optional<HardState>& hard);
  void save_snapshot(Index index, const ConfState& conf, SharedBytes data);
  void compact(Index index);
  // Between these, what is written survives a crash together or not at all, where that is promised.
  void begin_batch() { in_batch_ = true; }
  void end_batch();
  void sync();
  // Machine and membership as applied; atomic, durable at once (a database of its own).
  void save_machine(const Machine& machine, const ConfState& conf);

  // Everything since the last sync is at stake. `atomic`: batches are kept whole.
  void crash(Rng& rng, bool atomic);
  // What a start does before the core reads: holds the parts against each other. False: a part that
  // was synced is missing.
  bool recover();

  const HardState& durable_hard() const { return durable_.hard_state(); }
  const MemoryLogStorage& durable() const { return durable_; }
  const MemoryLogStorage& seen() const { return seen_; }
  bool synced() const { return pending_.empty(); }
  Index snapshot_index() const { return (*seen_.snapshot())->meta.index; }
  struct SavedMachine {
    Machine machine;
    ConfState conf;
  };
  const std::optional<SavedMachine>& saved_machine() const { return machine_; }

  void set_snapshot_ready(bool ready) { snapshot_ready_ = ready; }
  // A peer refuses a snapshot of a membership without it, so that one from before the newest change
  // is of no use to a new member: the core is told to wait, the host to take another.
  void membership_changed(Index index) { changed_at_ = index; }
  bool take_snapshot_wanted() { return std::exchange(snapshot_wanted_, false); }

 private:
  struct Install {
    SnapshotPtr snapshot;
    std::optional<HardState> hard;
  };
  struct Save {
    Index index = 0;
    ConfState conf;
    SharedBytes data;
  };
  struct Compact {
    Index index = 0;
  };
  using Record = std::variant<Entry, HardState, Install, Save, Compact>;
  static void apply(MemoryLogStorage& log, const Record& record);
  void put(Record record);

  MemoryLogStorage seen_;
  MemoryLogStorage durable_;
  std::vector<Record> pending_;    // seen_ = durable_ + these
  std::vector<std::size_t> ends_;  // of batches among them
  bool in_batch_ = false;
  std::optional<SavedMachine> machine_;
  bool snapshot_ready_ = true;
  Index changed_at_ = 0;
  mutable bool snapshot_wanted_ = false;
  Index kept_unsynced_ = 0;  // the newest entry that survived a crash without a sync
};

}  // namespace andyx::raft::sim
