// What a partition keeps in memory of its due index: how many rows lie in each stretch of offsets
// (for retention), and one stretch of time that is known to be free of rows (so that nobody reads
// in vain). Bounded: at most kMaxBlocks counts, under 2 MiB, however many rows there are.
//
// Pure: no I/O, no clock. One thread (the partition's loop).
//
// Rows from before the start of the process are counted by a scan; until it has ended nothing is
// known to be gone. Rows are added when they are durable, removed when their delete is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>

#include "server/subscription/due_key.h"

namespace andyx::server {

class DueSummary {
 public:
  static constexpr std::size_t kMaxBlocks = 16'384;
  static constexpr unsigned kLeastBlockBits = 12;  // of offsets; wider where there are many blocks

  // The partition was opened with messages below `end`: they may have rows.
  explicit DueSummary(Offset end) : recovered_end_(end), complete_(end == 0) {}

  bool complete() const { return complete_; }
  // What the scan found, and its end. Rows of later messages are counted by added() alone.
  void count_recovered(std::span<const DueKey> rows);
  void scan_ended() { complete_ = true; }

  void added(std::span<const DueKey> rows);
  void removed(std::span<const DueKey> rows);

  bool empty() const { return complete_ && rows_ == 0; }
  std::uint64_t rows() const { return rows_; }  // known of
  // No row is of a message below; kNoOffset when there is no row. A bound: may be lower.
  Offset oldest() const;

  // The time of the first row behind `cursor`, or something earlier (`cursor`'s own time when
  // nothing is known); nothing: there is no row.
  std::optional<TimeUs> next_after(DueKey cursor) const;

  // A read of the rows in (after, until_us] is under way: what it finds teaches next_after, unless
  // it may have missed rows added meanwhile.
  using ReadId = std::uint64_t;
  ReadId read_begins(DueKey after, TimeUs until_us);
  void read_failed(ReadId id) { reads_.erase(id); }
  // `last`: the last row found, nothing: none. `next`: the row behind all that were asked for,
  // nothing: no more rows. Not called when more rows were asked for than taken: read_failed().
  void read_ended(ReadId id, std::optional<DueKey> last, std::optional<DueKey> next);

  std::size_t blocks() const { return blocks_.size(); }

 private:
  struct Block {
    std::uint64_t rows = 0;
    Offset lowest = 0;  // of those counted; what was removed may have been it
  };
  struct Gap {  // no row in (from, to)
    DueKey from;
    std::optional<DueKey> to;  // nothing: to the end
    bool holds(DueKey key) const { return from <= key && (!to || key < *to); }
  };
  struct Read {
    DueKey after;
    TimeUs until_us = 0;
    bool spoiled = false;               // a row was added where it reads
    std::optional<DueKey> added_above;  // the lowest one
  };

  void count(DueKey row);
  void widen_blocks();

  Offset recovered_end_;
  bool complete_;
  std::uint64_t rows_ = 0;
  unsigned block_bits_ = kLeastBlockBits;
  std::map<Offset, Block> blocks_;  // by offset >> block_bits_
  std::optional<Gap> gap_;
  std::unordered_map<ReadId, Read> reads_;
  ReadId next_read_ = 1;
};

}  // namespace andyx::server
