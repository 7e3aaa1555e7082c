#include "raft/core/unstable_log.h"

#include <algorithm>

#include "raft/core/log_line.h"

namespace andyx::raft {

std::optional<Index> UnstableLog::first_index() const {
  return snapshot_ ? std::optional(snapshot_->meta.index + 1) : std::nullopt;
}

std::optional<Index> UnstableLog::last_index() const {
  if (!entries_.empty()) {
    return offset_ + entries_.size() - 1;
  }
  return snapshot_ ? std::optional(snapshot_->meta.index) : std::nullopt;
}

std::optional<Term> UnstableLog::term(Index index) const {
  if (index < offset_) {
    const bool at_snapshot = snapshot_ && snapshot_->meta.index == index;
    return at_snapshot ? std::optional(snapshot_->meta.term) : std::nullopt;
  }
  if (index - offset_ >= entries_.size()) {
    return std::nullopt;
  }
  return entries_[index - offset_].term;
}

std::span<const Entry> UnstableLog::next_entries() const {
  return std::span(entries_).subspan(in_progress_ - offset_);
}

void UnstableLog::accept_in_progress() {
  if (!entries_.empty()) {
    in_progress_ = entries_.back().index + 1;
  }
  snapshot_in_progress_ = snapshot_ != nullptr;
}

void UnstableLog::stable_to(Term at_term, Index index) {
  const std::optional<Term> ours = term(index);
  if (!ours) {
    log_line(logger_, LogLevel::kInfo, "entry at index ", index,
             " missing from unstable log; ignoring");
    return;
  }
  if (index < offset_) {
    log_line(logger_, LogLevel::kInfo, "entry at index ", index,
             " matched unstable snapshot; ignoring");
    return;
  }
  if (*ours != at_term) {
    // Replaced while it was being written.
    log_line(logger_, LogLevel::kInfo, "entry at (index,term)=(", index, ",", at_term,
             ") mismatched with entry at (", index, ",", *ours, ") in unstable log; ignoring");
    return;
  }
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<std::ptrdiff_t>(index + 1 - offset_));
  offset_ = index + 1;
  in_progress_ = std::max(in_progress_, offset_);
}

void UnstableLog::stable_snapshot_to(Index index) {
  if (snapshot_ && snapshot_->meta.index == index) {
    snapshot_ = nullptr;
    snapshot_in_progress_ = false;
  }
}

void UnstableLog::restore(SnapshotPtr snapshot) {
  entries_.clear();
  offset_ = snapshot->meta.index + 1;
  in_progress_ = offset_;
  snapshot_ = std::move(snapshot);
  snapshot_in_progress_ = false;
}

void UnstableLog::truncate_and_append(std::span<const Entry> entries) {
  const Index from = entries[0].index;
  if (from == offset_ + entries_.size()) {
    // follows on
  } else if (from <= offset_) {
    log_line(logger_, LogLevel::kInfo, "replace the unstable entries from index ", from);
    entries_.clear();
    offset_ = from;
    in_progress_ = from;
  } else {
    log_line(logger_, LogLevel::kInfo, "truncate the unstable entries before index ", from);
    entries_.resize(from - offset_);
    in_progress_ = std::min(in_progress_, from);
  }
  entries_.insert(entries_.end(), entries.begin(), entries.end());
}

}  // namespace andyx::raft
