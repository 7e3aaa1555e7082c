// The one ordered log that feeds the image: the contract behind which a local storage shard (one
// node), Raft, and later other stores stand. One conformance test for all
// (tests/server/metadata_log_conformance).
//
// Threads: calls may come from any thread and never wait. Each `done` is called exactly once, on a
// thread of the implementation's choosing, possibly inside the call; it must not block and must not
// call the log. Calls of one thread take effect in order. The destructor answers what is still open
// with kShuttingDown (append: indeterminate, unless it had not begun) and returns when no callback
// runs any more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "server/metadata/command.h"
#include "server/metadata/image.h"
#include "storage/storage_shard.h"

namespace andyx::server {

using ControllerEpoch = std::uint64_t;  // from 1; each campaign that wins gets a higher one

struct LogEntry {
  Position position = 0;
  EntryBytes bytes;
};

struct ImageSnapshotBytes {
  Position position = 0;  // of the first entry that is not in it
  EntryBytes bytes;       // see snapshot.h
};

enum class AppendOutcome : std::uint8_t {
  kOk,        // durable, committed; `tail` is the position behind the last entry
  kMismatch,  // the tail is not where it was expected: nothing written; `tail` says where it is
  kFenced,    // a higher epoch exists: nothing written, and never will be under this one
  // Nothing written; `error` says why (disk full, overloaded): may be tried again. kNotController,
  // kNoController: not from here, or not yet.
  kNotApplied,
  kIndeterminate,  // written or not: read to tail() before anything else
};

struct AppendResult {
  AppendOutcome outcome = AppendOutcome::kOk;
  Position tail = 0;
  Error error;  // set unless kOk
};

// Who may campaign.
struct LogLeader {
  bool here = false;
  NodeId node = 0;  // where it is, when known
  bool operator==(const LogLeader&) const = default;
};

template <typename T>
using LogDone = std::move_only_function<void(T)>;

class MetadataLog {
 public:
  virtual ~MetadataLog() = default;

  // Asks to be the one that appends, for `ttl_ms` at least unless renewed by another campaign (a
  // log with one possible leader ignores it). The epoch is durable before it is answered.
  // kNotController (with its node), kNoController: this node cannot be it now.
  virtual void campaign(NodeId node, std::uint32_t ttl_ms,
                        LogDone<Result<ControllerEpoch>> done) = 0;

  // All of the entries, in order, or none. 1..limits::kMaxMetadataAppendEntries of them.
  virtual void append(Position expected, ControllerEpoch epoch, std::vector<EntryBytes> entries,
                      LogDone<AppendResult> done) = 0;

  // Committed entries that are known here, from `from` on, until about `max_bytes` (at least one
  // where there is one); none at the tail. kOffsetOutOfRange: trimmed (read the snapshot) or behind
  // the tail.
  virtual void read(Position from, std::size_t max_bytes,
                    LogDone<Result<std::vector<LogEntry>>> done) = 0;

  // Linearizable: not before any append that was answered, or may have been, when the call began.
  virtual void tail(LogDone<Result<Position>> done) = 0;

  // The newest snapshot wins; an older one than the stored is ignored. Where several nodes follow
  // one log, snapshots and trimming may be each node's own: every one of them does both.
  virtual void put_snapshot(ImageSnapshotBytes snapshot, LogDone<Status> done) = 0;
  virtual void get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) = 0;

  // Forgets the entries below `before`. kBadArgument when no snapshot covers them.
  virtual void trim(Position before, LogDone<Status> done) = 0;

  // A hint, nothing more: the log may have grown to `tail`. Set once, before other calls.
  virtual void watch(std::function<void(Position tail)> hint) = 0;

  // Tells who may campaign: first what is, then each change. A hint, too: an append tells for sure.
  // Set once, before campaign().
  virtual void on_leader(std::function<void(LogLeader)> changed) = 0;
};

// Over the shard's log kMetadataLog and its small state under "metadata/": one node, one voter.
// Reads and checks what is there; kCorrupt or kDataLoss say what does not fit. Owns one thread,
// which waits for the disk. The shard must outlive the log. Blocks: at start only.
Result<std::unique_ptr<MetadataLog>> open_local_metadata_log(storage::StorageShard& shard);

}  // namespace andyx::server
