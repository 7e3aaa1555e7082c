#include "raft/core/raft_log.h"

#include <algorithm>

#include "raft/core/log_line.h"
#include "raft/core/planted.h"

namespace andyx::raft {

namespace {

// The longest prefix within `max_bytes`, at least one entry.
std::span<const Entry> limit(std::span<const Entry> entries, std::uint64_t max_bytes) {
  std::uint64_t bytes = 0;
  for (std::size_t at = 0; at < entries.size(); at++) {
    bytes += entries[at].encoded_bytes();
    if (at > 0 && bytes > max_bytes) {
      return entries.first(at);
    }
  }
  return entries;
}

}  // namespace

std::uint64_t encoded_bytes(std::span<const Entry> entries) {
  std::uint64_t bytes = 0;
  for (const Entry& entry : entries) {
    bytes += entry.encoded_bytes();
  }
  return bytes;
}

std::uint64_t payload_bytes(std::span<const Entry> entries) {
  std::uint64_t bytes = 0;
  for (const Entry& entry : entries) {
    bytes += entry.payload_bytes();
  }
  return bytes;
}

RaftLog::RaftLog(const LogStorage& storage, Logger& logger, std::uint64_t max_applying_bytes)
    : storage_(storage),
      logger_(logger),
      unstable_(storage.last_index() + 1, logger),
      committed_(storage.first_index() - 1),
      applying_(committed_),
      applied_(committed_),
      max_applying_bytes_(max_applying_bytes) {}

Index RaftLog::first_index() const {
  const std::optional<Index> first = unstable_.first_index();
  return first ? *first : storage_.first_index();
}

Index RaftLog::last_index() const {
  const std::optional<Index> last = unstable_.last_index();
  return last ? *last : storage_.last_index();
}

EntryId RaftLog::last() const {
  const Index index = last_index();
  const auto at = term(index);
  if (!at) {
    logger_.panic(concat("unexpected error when getting the last term at ", index));
  }
  return {.term = *at, .index = index};
}

std::expected<Term, LogFault> RaftLog::term(Index index) const {
  if (const std::optional<Term> found = unstable_.term(index)) {
    return *found;
  }
  // The entry before the first is compacted, but its term is kept for matching.
  if (index + 1 < first_index()) {
    return std::unexpected(LogFault::kCompacted);
  }
  if (index > last_index()) {
    return std::unexpected(LogFault::kUnavailable);
  }
  return storage_.term(index);
}

bool RaftLog::matches(EntryId id) const {
  const auto ours = term(id.index);
  return ours && *ours == id.term;
}

bool RaftLog::up_to_date(EntryId theirs) const {
  const EntryId ours = last();
  return theirs.term > ours.term || (theirs.term == ours.term && theirs.index >= ours.index);
}

std::expected<SnapshotPtr, LogFault> RaftLog::snapshot() const {
  if (unstable_.snapshot()) {
    return unstable_.snapshot();
  }
  return storage_.snapshot();
}

std::expected<std::vector<Entry>, LogFault> RaftLog::entries(Index from,
                                                             std::uint64_t max_bytes) const {
  if (from > last_index()) {
    return std::vector<Entry>{};
  }
  return slice(from, last_index() + 1, max_bytes);
}

std::expected<std::vector<Entry>, LogFault> RaftLog::slice(Index low, Index high,
                                                           std::uint64_t max_bytes) const {
  if (low < first_index()) {
    return std::unexpected(LogFault::kCompacted);
  }
  if (low > high || high > last_index() + 1) {
    logger_.panic(concat("slice[", low, ",", high, ") out of bound [", first_index(), ",",
                         last_index(), "]"));
  }
  const auto unstable_part = [&](Index from, Index to) {
    return unstable_.entries().subspan(from - unstable_.offset(), to - from);
  };
  if (low == high) {
    return std::vector<Entry>{};
  }
  if (low >= unstable_.offset()) {
    const auto part = limit(unstable_part(low, high), max_bytes);
    return std::vector<Entry>(part.begin(), part.end());
  }
  const Index cut = std::min(high, unstable_.offset());
  auto found = storage_.entries(low, cut, max_bytes);
  if (!found) {
    if (found.error() == LogFault::kUnavailable) {
      logger_.panic(concat("entries[", low, ":", cut, ") is unavailable from storage"));
    }
    return found;
  }
  if (high <= unstable_.offset() || found->size() < cut - low) {
    return found;
  }
  const std::uint64_t bytes = encoded_bytes(*found);
  if (bytes >= max_bytes) {
    return found;
  }
  const auto rest = limit(unstable_part(unstable_.offset(), high), max_bytes - bytes);
  if (rest.size() == 1 && bytes + encoded_bytes(rest) > max_bytes) {
    return found;
  }
  found->insert(found->end(), rest.begin(), rest.end());
  return found;
}

void RaftLog::append(std::span<const Entry> entries) {
  if (entries.empty()) {
    return;
  }
  if (entries[0].index <= committed_) {
    logger_.panic(
        concat("after(", entries[0].index - 1, ") is out of range [committed(", committed_, ")]"));
  }
  unstable_.truncate_and_append(entries);
}

std::expected<Index, RaftLog::Refusal> RaftLog::try_append(EntryId previous,
                                                           std::span<const Entry> entries,
                                                           Index commit) {
  if (!matches(previous)) {
    if (planted(Bug::kCommitBeyondMatch)) {
      commit_to(std::max(committed_, std::min(commit, last_index())));
    }
    return std::unexpected(Refusal::kNoMatch);
  }
  const Index last_new = previous.index + entries.size();
  Index conflict = find_conflict(entries);
  if (planted(Bug::kTruncateMatched) && conflict == 0 && !entries.empty() &&
      last_new < last_index() && entries.back().index > committed_) {
    conflict = entries.back().index;
  }
  if (conflict != 0) {
    if (conflict <= committed_) {
      return std::unexpected(Refusal::kConflictsCommitted);
    }
    append(entries.subspan(conflict - previous.index - 1));
  }
  commit_to(std::min(commit, last_new));
  return last_new;
}

Index RaftLog::find_conflict(std::span<const Entry> entries) const {
  for (const Entry& entry : entries) {
    if (!matches({.term = entry.term, .index = entry.index})) {
      if (entry.index <= last_index()) {
        log_line(logger_, LogLevel::kInfo, "found conflict at index ", entry.index,
                 " [existing term: ", term_or_zero(entry.index), ", conflicting term: ", entry.term,
                 "]");
      }
      return entry.index;
    }
  }
  return 0;
}

EntryId RaftLog::find_conflict_by_term(Index index, Term limit_term) const {
  for (; index > 0; index--) {
    const auto ours = term(index);
    if (!ours) {
      return {.term = 0, .index = index};
    }
    if (*ours <= limit_term) {
      return {.term = *ours, .index = index};
    }
  }
  return {};
}

void RaftLog::commit_to(Index index) {
  if (index <= committed_) {
    return;
  }
  if (index > last_index()) {
    logger_.panic(concat("tocommit(", index, ") is out of range [lastIndex(", last_index(),
                         ")]. Was the raft log corrupted, truncated, or lost?"));
  }
  committed_ = index;
}

bool RaftLog::try_commit(EntryId at) {
  if (planted(Bug::kCommitOfEarlierTerm) && at.index > committed_ && at.index <= last_index()) {
    commit_to(at.index);
    return true;
  }
  if (at.term == 0 || at.index <= committed_ || !matches(at)) {
    return false;
  }
  commit_to(at.index);
  return true;
}

Index RaftLog::max_appliable(bool allow_unstable) const {
  return allow_unstable ? committed_ : std::min(committed_, unstable_.offset() - 1);
}

bool RaftLog::has_next_committed(bool allow_unstable) const {
  // A snapshot comes first.
  return !applying_paused_ && !unstable_.snapshot() && applying_ < max_appliable(allow_unstable);
}

std::vector<Entry> RaftLog::next_committed(bool allow_unstable) const {
  if (!has_next_committed(allow_unstable)) {
    return {};
  }
  auto found = slice(applying_ + 1, max_appliable(allow_unstable) + 1,
                     max_applying_bytes_ - applying_bytes_);
  if (!found) {
    logger_.panic("unexpected error when getting unapplied entries");
  }
  return *std::move(found);
}

// Application pauses when the limit is reached, and when it would be passed by the next entry: that
// is when fewer entries were handed out than there are.
void RaftLog::accept_applying(Index through, std::uint64_t bytes, bool allow_unstable) {
  if (committed_ < through) {
    logger_.panic(concat("applying(", through, ") is out of range [prevApplying(", applying_,
                         "), committed(", committed_, ")]"));
  }
  applying_ = through;
  applying_bytes_ += bytes;
  applying_paused_ =
      applying_bytes_ >= max_applying_bytes_ || through < max_appliable(allow_unstable);
}

void RaftLog::applied_to(Index index, std::uint64_t bytes) {
  if (committed_ < index || index < applied_) {
    logger_.panic(concat("applied(", index, ") is out of range [prevApplied(", applied_,
                         "), committed(", committed_, ")]"));
  }
  applied_ = index;
  applying_ = std::max(applying_, index);
  applying_bytes_ -= std::min(applying_bytes_, bytes);
  applying_paused_ = applying_bytes_ >= max_applying_bytes_;
}

void RaftLog::restore(SnapshotPtr snapshot) {
  log_line(logger_, LogLevel::kInfo, "log [", text(),
           "] starts to restore snapshot [index: ", snapshot->meta.index,
           ", term: ", snapshot->meta.term, "]");
  committed_ = snapshot->meta.index;
  unstable_.restore(std::move(snapshot));
}

std::string RaftLog::text() const {
  return concat("committed=", committed_, ", applied=", applied_, ", applying=", applying_,
                ", unstable.offset=", unstable_.offset(),
                ", unstable.offsetInProgress=", unstable_.in_progress(),
                ", len(unstable.Entries)=", unstable_.entries().size());
}

}  // namespace andyx::raft
