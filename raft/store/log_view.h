// What is known of the log in memory: its ends, the terms in stretches, and the newest entries up
// to a number of bytes. Pure. The core's thread.
#pragma once

#include <deque>
#include <expected>
#include <functional>
#include <vector>

#include "raft/core/log_storage.h"
#include "raft/core/types.h"

namespace andyx::raft {

class LogView {
 public:
  LogView() = default;
  explicit LogView(std::uint64_t cache_bytes) : cache_limit_(cache_bytes) {}

  Index first_index() const { return base_index_ + 1; }
  Index last_index() const { return last_index_; }
  Index base_index() const { return base_index_; }
  Term base_term() const { return base_term_; }
  Term last_term() const { return stretches_.empty() ? base_term_ : stretches_.back().term; }
  std::expected<Term, LogFault> term(Index index) const;

  // Entries from RocksDB, [low, high), within so many bytes, at least one; kUnavailable on failure.
  using Entries = std::expected<std::vector<Entry>, LogFault>;
  using ReadOlder = std::function<Entries(Index low, Index high, std::uint64_t max_bytes)>;
  Entries entries(Index low, Index high, std::uint64_t max_bytes,
                  const ReadOlder& read_older) const;

  // A log that begins behind an entry, without entries.
  void reset(Index base_index, Term base_term);
  // Continues the log or overwrites it from entry.index on, which lies behind the base. `write`:
  // the number of the write that stores it.
  void append(const Entry& entry, std::uint64_t write);
  void compact(Index index);  // base_index <= index <= last_index
  // Lets go of the oldest over the limit, whose write is stored (numbers up to `stored`).
  void evict(std::uint64_t stored);

  std::uint64_t cached_bytes() const { return cached_bytes_; }

 private:
  struct Stretch {  // of entries of one term, up to the next stretch
    Index first = 0;
    Term term = 0;
  };
  struct Cached {
    Entry entry;
    std::uint64_t write = 0;
  };
  static std::uint64_t charged(const Entry& entry);
  void truncate(Index from);
  void drop_oldest();
  Index cache_first() const { return last_index_ + 1 - cache_.size(); }

  std::uint64_t cache_limit_ = 0;
  Index base_index_ = 0;
  Term base_term_ = 0;
  Index last_index_ = 0;
  std::deque<Stretch> stretches_;
  std::deque<Cached> cache_;  // up to last_index_
  std::uint64_t cached_bytes_ = 0;
};

}  // namespace andyx::raft
