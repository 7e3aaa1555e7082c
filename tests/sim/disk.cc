#include "tests/sim/disk.h"

#include <algorithm>
#include <utility>

#include "raft/core/planted.h"

namespace andyx::raft::sim {

namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

}  // namespace

Disk::InitialState Disk::initial_state() const {
  InitialState state = seen_.initial_state();
  if (machine_ && machine_->machine.applied() > snapshot_index()) {
    state.conf = machine_->conf;  // the core starts from Config::applied
  }
  return state;
}

std::expected<std::vector<Entry>, LogFault> Disk::entries(Index low, Index high,
                                                          std::uint64_t max_bytes) const {
  return seen_.entries(low, high, max_bytes);
}

std::expected<SnapshotPtr, LogFault> Disk::snapshot() const {
  if (changed_at_ > snapshot_index()) {
    snapshot_wanted_ = true;
    return std::unexpected(LogFault::kSnapshotNotReady);
  }
  if (!snapshot_ready_) {
    return std::unexpected(LogFault::kSnapshotNotReady);
  }
  return seen_.snapshot();
}

void Disk::format(SnapshotPtr snapshot, const HardState& hard) {
  put(Install{std::move(snapshot), hard});
  sync();
}

void Disk::apply(MemoryLogStorage& log, const Record& record) {
  std::visit(
      Overloaded{
          [&log](const Entry& entry) { log.append({entry}); },
          [&log](const HardState& hard) { log.set_hard_state(hard); },
          [&log](const Install& install) {
            log.apply_snapshot(install.snapshot);
            if (install.hard) {
              log.set_hard_state(*install.hard);
            }
          },
          [&log](const Save& save) { log.create_snapshot(save.index, save.conf, save.data); },
          [&log](const Compact& compact) { log.compact(compact.index); },
      },
      record);
}

void Disk::put(Record record) {
  apply(seen_, record);
  pending_.push_back(std::move(record));
  if (!in_batch_) {
    ends_.push_back(pending_.size());
  }
}

void Disk::end_batch() {
  in_batch_ = false;
  ends_.push_back(pending_.size());
}

void Disk::write(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    put(entry);
  }
}

void Disk::write(const HardState& hard) { put(hard); }

void Disk::write(SnapshotPtr snapshot, const std::optional<HardState>& hard) {
  put(Install{std::move(snapshot), hard});
}

void Disk::save_snapshot(Index index, const ConfState& conf, SharedBytes data) {
  put(Save{index, conf, std::move(data)});
}

void Disk::compact(Index index) { put(Compact{index}); }

void Disk::sync() {
  for (const Record& record : pending_) {
    apply(durable_, record);
  }
  pending_.clear();
  ends_.clear();
}

void Disk::save_machine(const Machine& machine, const ConfState& conf) {
  const bool apart = planted(Bug::kAppliedSavedApart) && machine_.has_value();
  const Index before = apart ? machine_->machine.applied() : 0;
  machine_ = SavedMachine{machine, conf};
  if (apart) {
    machine_->machine.forget_position(before);
  }
}

void Disk::crash(Rng& rng, bool atomic) {
  std::size_t kept = pending_.empty() ? 0 : rng.below(pending_.size() + 1);
  if (atomic) {
    const std::size_t batches = rng.below(ends_.size() + 1);
    kept = batches == 0 ? 0 : ends_[batches - 1];
  }
  kept_unsynced_ = 0;
  for (std::size_t i = 0; i < kept; i++) {
    apply(durable_, pending_[i]);
    if (const Entry* entry = std::get_if<Entry>(&pending_[i])) {
      kept_unsynced_ = entry->index;
    }
  }
  if (planted(Bug::kVoteNotPersisted)) {
    HardState hard = durable_.hard_state();
    hard.vote = kNone;
    durable_.set_hard_state(hard);
  }
  pending_.clear();
  ends_.clear();
  in_batch_ = false;
  seen_ = durable_;
  snapshot_ready_ = true;
  changed_at_ = 0;
  snapshot_wanted_ = false;
}

bool Disk::recover() {
  HardState hard = durable_.hard_state();
  const SnapshotMeta& meta = (*durable_.snapshot())->meta;
  // The commit index is written without a sync; snapshot and machine are newer proofs of commit.
  Index known = std::max(hard.commit, meta.index);
  if (machine_) {
    known = std::max(known, machine_->machine.applied());
  }
  if (planted(Bug::kUnsyncedTailKept) && kept_unsynced_ != 0) {
    known = std::max(known, std::min(kept_unsynced_, durable_.last_index()));
  }
  kept_unsynced_ = 0;
  if (known > durable_.last_index()) {
    return false;
  }
  hard.commit = known;
  hard.term = std::max(hard.term, meta.term);
  if (hard != durable_.hard_state()) {
    if (hard.term != durable_.hard_state().term) {
      hard.vote = kNone;
    }
    durable_.set_hard_state(hard);
    seen_ = durable_;
  }
  return true;
}

}  // namespace andyx::raft::sim
