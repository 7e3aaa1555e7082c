#include "raft/core/memory_log_storage.h"

#include <cstdlib>

namespace andyx::raft {

MemoryLogStorage::MemoryLogStorage() : snapshot_(std::make_shared<Snapshot>()), entries_(1) {}

LogStorage::InitialState MemoryLogStorage::initial_state() const {
  return {.hard = hard_, .conf = snapshot_->meta.conf};
}

Index MemoryLogStorage::first_index() const { return entries_[0].index + 1; }

Index MemoryLogStorage::last_index() const { return entries_[0].index + entries_.size() - 1; }

std::expected<Term, LogFault> MemoryLogStorage::term(Index index) const {
  if (index < entries_[0].index) {
    return std::unexpected(LogFault::kCompacted);
  }
  if (index > last_index()) {
    return std::unexpected(LogFault::kUnavailable);
  }
  return entries_[index - entries_[0].index].term;
}

std::expected<std::vector<Entry>, LogFault> MemoryLogStorage::entries(
    Index low, Index high, std::uint64_t max_bytes) const {
  if (low <= entries_[0].index) {
    return std::unexpected(LogFault::kCompacted);
  }
  if (high > last_index() + 1 || low >= high) {
    return std::unexpected(LogFault::kUnavailable);
  }
  std::vector<Entry> found;
  std::uint64_t bytes = 0;
  for (Index index = low; index < high; index++) {
    const Entry& entry = entries_[index - entries_[0].index];
    bytes += entry.encoded_bytes();
    if (!found.empty() && bytes > max_bytes) {
      break;
    }
    found.push_back(entry);
  }
  return found;
}

bool MemoryLogStorage::apply_snapshot(SnapshotPtr snapshot) {
  const SnapshotMeta& meta = snapshot->meta;
  if (snapshot_->meta.index != 0 && snapshot_->meta.index >= meta.index) {
    return false;
  }
  entries_.assign(1, Entry{.term = meta.term, .index = meta.index});
  snapshot_ = std::move(snapshot);
  return true;
}

bool MemoryLogStorage::create_snapshot(Index index, const ConfState& conf, SharedBytes data) {
  const auto at = term(index);
  if (index <= snapshot_->meta.index || !at) {
    return false;
  }
  snapshot_ = std::make_shared<Snapshot>(
      Snapshot{.meta = {.index = index, .term = *at, .conf = conf}, .data = std::move(data)});
  return true;
}

bool MemoryLogStorage::compact(Index index) {
  if (index <= entries_[0].index) {
    return false;
  }
  if (index > last_index()) {
    std::abort();  // the caller compacts what it has not applied
  }
  const auto keep = static_cast<std::ptrdiff_t>(index - entries_[0].index);
  entries_.erase(entries_.begin(), entries_.begin() + keep);
  entries_[0].data = {};
  entries_[0].type = EntryType::kNormal;
  return true;
}

void MemoryLogStorage::append(const std::vector<Entry>& entries) {
  std::size_t skip = 0;
  while (skip < entries.size() && entries[skip].index <= entries_[0].index) {
    skip++;
  }
  if (skip == entries.size()) {
    return;
  }
  const std::size_t at = entries[skip].index - entries_[0].index;
  if (at > entries_.size()) {
    std::abort();  // a gap
  }
  entries_.resize(at);
  entries_.insert(entries_.end(), entries.begin() + static_cast<std::ptrdiff_t>(skip),
                  entries.end());
}

}  // namespace andyx::raft
