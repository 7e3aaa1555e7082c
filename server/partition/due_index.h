// The due index of a partition: where its delayed messages are found when their time has come. A
// row in storage for each message whose deliver-at lay ahead when it was appended, written in one
// group with its batch; in memory a bounded summary (DueSummary).
//
// Thread: the partition's loop; rows are read on the read pool. Owned by Partition.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/batch/batch_reader.h"
#include "server/partition/due_summary.h"
#include "storage/storage_shard.h"

namespace andyx::server {

class CoreLoop;
class Partition;

class DueIndex {
 public:
  DueIndex(CoreLoop& loop, Partition& partition, Offset recovered_end);
  // At start, of a partition with messages; blocks. The rows are counted later, in the background.
  Status recover();
  // Up to where rows were removed; any thread, blocks.
  static Result<DueKey> read_removed_to(const storage::StorageShard& shard, PartitionId id);
  // A replica delivers nothing: it removes rows when its main has. resume() when it becomes main,
  // with messages up to `end` on the disk: the rows are counted anew.
  void suspend();
  void resume(Offset end, DueKey removed_to);

  // The rows of a batch with its server fields, ascending in offset; empty for most batches.
  static std::vector<DueKey> rows_of(ByteSpan batch, const batch::Header& header,
                                     TimeUs append_time_us);
  std::vector<storage::StatePut> puts_of(std::span<const DueKey> rows) const;
  void added(std::span<const DueKey> rows);  // they are durable, with their batch

  // When to read the rows behind `cursor` next: the time of the first one, or something earlier
  // where it is not known (at worst `cursor`'s own time: read at once). Nothing: there is none. May
  // become earlier when a batch is committed.
  std::optional<TimeUs> next_due_us_after(DueKey cursor) const {
    return summary_.next_after(cursor);
  }

  // The rows in (after, until_us], ascending, at most `max`; on this loop, perhaps at once. Rows of
  // batches that this loop takes for uncommitted may be among them.
  using ReadDue = std::move_only_function<void(Result<std::vector<DueKey>>)>;
  void read(DueKey after, TimeUs until_us, std::size_t max, ReadDue done);

  // Every subscription's durable due cursor is at `everybody` or behind it: rows up to there go
  // with the next second, in the background.
  void passed(DueKey everybody) { passed_ = std::max(passed_, everybody); }
  // Rows up to here may be gone, also those of messages that a new subscription gets: its due
  // cursor begins here, so that they count as due. Never back; what was removed is known durably.
  DueKey removed_to() const { return std::max(removed_to_, passed_); }

  // No row is of a message below; kNoOffset: there is no row. 0 until the rows are counted.
  Offset oldest_delayed() const { return summary_.oldest(); }

  // Rows were removed up to here, at least once.
  DueKey rows_removed_to() const { return removed_to_; }
  // Rows are being removed: what a resume() needs to know is not on the disk yet.
  bool removing() const { return removals_ > 0; }

  bool counted() const { return summary_.complete(); }

  // `anybody`: the partition has subscriptions. `reads_left`: of the read pool, in this second.
  // False: not needed again before the next row.
  bool every_second(TimeUs now_us, bool anybody, std::size_t& reads_left);
  // The same on a replica, whose internal log is committed up to there.
  bool every_second_of_replica(Offset internal_committed, std::size_t& reads_left);

  // The partition is deleted; then, when nothing of it is being written any more: removes every
  // row.
  void close() { closed_ = true; }
  void remove_all() { remove_all_from(std::nullopt); }

 private:
  struct Chunk {
    std::vector<DueKey> rows;
    std::optional<DueKey> next;  // the first row behind them, if there is one
  };
  // Any thread. Rows behind `after` (nothing: all) up to `last`.
  Result<Chunk> read_rows(std::optional<DueKey> after, std::optional<DueKey> last,
                          std::size_t max) const;
  // Hands `found` the rows on the loop. False: the read pool is full.
  bool read_in_background(std::optional<DueKey> after, std::optional<DueKey> last, std::size_t max,
                          std::function<void(Chunk&)> found);
  void count_rows(std::size_t& reads_left);
  void remove_passed();
  void remove_rows(const Chunk& chunk, DueKey target);
  void removed_of_replica(DueKey told, const Chunk& chunk);
  void raise_clean_to(DueKey to);
  void remove_all_from(std::optional<DueKey> after);

  CoreLoop& loop_;
  Partition& partition_;
  DueSummary summary_;
  std::optional<DueKey> counted_to_;  // while rows are being counted
  DueKey passed_;
  DueKey clean_to_;                        // no rows up to here
  std::optional<DueKey> added_meanwhile_;  // the lowest one, while passed rows are being removed
  DueKey removed_to_;                      // what was removed lies up to here
  bool reading_ = false;                   // in the background
  bool replica_rows_ = false;              // of a replica: there may be rows
  std::uint32_t replica_seconds_ = 0;      // since it last looked
  std::uint32_t removals_ = 0;             // writes under way
  std::uint64_t life_ = 0;                 // another one after suspend() and resume()
  bool closed_ = false;
};

}  // namespace andyx::server
