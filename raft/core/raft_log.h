// A peer's log: stable storage, what is not stable yet, and how far it is committed and applied.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <vector>

#include "raft/core/config.h"
#include "raft/core/log_storage.h"
#include "raft/core/unstable_log.h"

namespace andyx::raft {

struct EntryId {
  Term term = 0;
  Index index = 0;
};

class RaftLog {
 public:
  // `max_applying_bytes`: of entries handed out and not yet applied.
  RaftLog(const LogStorage& storage, Logger& logger, std::uint64_t max_applying_bytes);

  Index first_index() const;
  Index last_index() const;
  EntryId last() const;
  std::expected<Term, LogFault> term(Index index) const;
  Term term_or_zero(Index index) const { return term(index).value_or(0); }
  bool matches(EntryId id) const;
  // Is a log that ends there at least as up to date as this one? (Thesis, section 3.6.1.)
  bool up_to_date(EntryId theirs) const;
  std::expected<SnapshotPtr, LogFault> snapshot() const;

  // [from, last]: the longest prefix within `max_bytes`, at least one where there is one.
  std::expected<std::vector<Entry>, LogFault> entries(Index from, std::uint64_t max_bytes) const;
  std::expected<std::vector<Entry>, LogFault> slice(Index low, Index high,
                                                    std::uint64_t max_bytes) const;

  // Appends own entries; panics below committed.
  void append(std::span<const Entry> entries);
  // A leader's entries behind `previous`. Nothing when `previous` is not here, else the last index
  // that now matches the leader's log. `commit` is the leader's.
  enum class Refusal : std::uint8_t { kNoMatch, kConflictsCommitted };
  std::expected<Index, Refusal> try_append(EntryId previous, std::span<const Entry> entries,
                                           Index commit);
  // The greatest index <= `index` whose term is <= `term`, and its term (0: unknown, compacted).
  EntryId find_conflict_by_term(Index index, Term term) const;

  Index committed() const { return committed_; }
  Index applying() const { return applying_; }
  Index applied() const { return applied_; }
  // At a restart, from the hard state: within [committed, last_index].
  void recover_committed(Index index) { committed_ = index; }
  void commit_to(Index index);  // never backwards; panics behind last_index
  bool try_commit(EntryId at);  // only where the entry is of that term

  // Committed and not yet handed out; with `allow_unstable` also those not yet in stable storage.
  std::vector<Entry> next_committed(bool allow_unstable) const;
  bool has_next_committed(bool allow_unstable) const;
  void accept_applying(Index through, std::uint64_t bytes, bool allow_unstable);
  void applied_to(Index index, std::uint64_t bytes);

  UnstableLog& unstable() { return unstable_; }
  const UnstableLog& unstable() const { return unstable_; }
  void restore(SnapshotPtr snapshot);
  std::uint64_t max_applying_bytes() const { return max_applying_bytes_; }
  std::string text() const;

 private:
  // The first of `entries` that is not here, or is of another term; 0: all are.
  Index find_conflict(std::span<const Entry> entries) const;
  Index max_appliable(bool allow_unstable) const;

  const LogStorage& storage_;
  Logger& logger_;
  UnstableLog unstable_;
  Index committed_;  // known to be durable on a quorum
  Index applying_;   // handed out; applied <= applying <= committed
  Index applied_;
  std::uint64_t max_applying_bytes_;
  std::uint64_t applying_bytes_ = 0;
  bool applying_paused_ = false;
};

std::uint64_t encoded_bytes(std::span<const Entry> entries);
std::uint64_t payload_bytes(std::span<const Entry> entries);

}  // namespace andyx::raft
