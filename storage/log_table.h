// What the shard knows of its logs in memory: heads of all, runs of the open generation of those
// written to, runs of sealed generations of those read from (loaded when first needed, bounded).
// And of its generations. Any thread, except what is marked as the writer thread's; one mutex,
// never held across IO.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/keys.h"
#include "storage/queued_group.h"
#include "storage/storage_shard.h"

namespace andyx::storage {

using RunList = std::vector<Run>;

// Adds a batch to runs of the open generation: to the one that it continues, else as a new one.
// Runs stay sorted.
void extend_runs(RunList& runs, Generation generation, const AppendInfo& batch);

// What is left of a run from `from` on, in bytes; within it an estimate.
std::uint64_t rest_of(const Run& run, Offset from);

// A change of a log's head that still has to be written.
struct HeadChange {
  LogId log = 0;
  bool dropped = false;
  Offset start = 0;
};

// A log that was written to in the open generation, as its rows will say.
struct CutLog {
  LogId log = 0;
  Head head;
  RunList runs;
};

// Where the batches of a log lie, in order.
struct LogLayout {
  bool loaded = false;  // else the sealed runs have to be read first
  Offset start = 0;
  Offset end = 0;
  std::uint64_t version = 0;            // changes whenever a batch may have moved
  std::vector<Generation> generations;  // the sealed ones; only when not loaded
  RunList runs;  // only when loaded: those that reach beyond the offset asked for
};

class LogTable {
 public:
  // --- recovery, before there is any other thread
  void restore_open_generation(Generation generation) { open_generation_ = generation; }
  void restore_generation(Generation generation, const Sealed& sealed);
  void restore_dropped(LogId log, Generation generation);
  void restore_log(LogId log, const Head& head, RunList open_runs);

  // --- submission
  // Checks that the appends continue their logs, and takes them as submitted: all or none.
  // kBadArgument.
  Status reserve(const QueuedGroup& queued);

  // --- writer thread
  // Clears in `queued.infos` what goes to logs dropped since (size_bytes becomes 0).
  void skip_dropped(std::vector<QueuedGroup>& round) const;
  void publish_appends(const std::vector<QueuedGroup>& round);
  std::vector<CutLog> cut_logs() const;
  void seal(const Sealed& sealed);  // after a cut: the next generation is open
  std::vector<HeadChange> take_changes();

  // --- moving batches, on the writer thread; hold moves() alone from the write to the change here
  std::shared_mutex& moves() { return moves_; }
  // Held by whoever plans to move or cut batches, from the plan to its end, so that plans do not
  // cross. Not by the writer thread.
  std::mutex& plans() { return plans_; }
  void add_copied(LogId log, const std::vector<AppendInfo>& batches);
  // `last`: the run that the cut went through, as it is now.
  void truncated(LogId log, const Head& head, const std::optional<Run>& last);
  // All of its batches are gone; it goes on, empty, as `head` says.
  void began_anew(LogId log, const Head& head);
  void forget_generations(const std::vector<Generation>& generations);
  void forget_dropped(LogId log);

  // --- reading
  std::optional<LogState> state(LogId log) const;
  std::vector<LogId> logs() const;
  bool in_flight(LogId log) const;
  Generation open_generation() const;
  RunList open_runs(LogId log) const;
  // A log that does not exist is empty and loaded.
  LogLayout layout(LogId log, Offset from) const;
  void loaded(LogId log, std::uint64_t version, RunList sealed_runs);
  std::map<Generation, Sealed> generations() const;
  std::vector<std::pair<LogId, Generation>> dropped() const;
  bool has_changes() const;

  // --- heads
  Status advance_start(LogId log, Offset new_start);
  void drop(LogId log);

 private:
  struct Entry {
    LogState state;
    Offset submitted_end = 0;
    bool exists = false;  // its first append is durable
    bool sealed_loaded = false;
    std::uint64_t version = 0;
    RunList open_runs;
    RunList sealed;
  };

  static std::uint64_t live_bytes(const Entry& entry, Offset start);
  void unload(Entry& entry);
  void touch(LogId log, Entry& entry);

  mutable std::mutex mutex_;
  std::shared_mutex moves_;
  std::mutex plans_;
  std::unordered_map<LogId, Entry> logs_;
  std::vector<LogId> touched_;  // those with open runs
  std::unordered_map<LogId, Generation> dropped_;
  std::map<Generation, Sealed> generations_;
  Generation open_generation_ = 1;
  std::vector<HeadChange> changes_;
  std::size_t loaded_runs_ = 0;
  std::uint64_t next_version_ =
      1;  // over all logs: a log's id is never seen twice with one version
};

}  // namespace andyx::storage
