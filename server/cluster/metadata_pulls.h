// Serves the metadata log of this node to nodes that run no Raft peer: entries, waiting for new
// ones, and parts of the newest snapshot. The control loop. Never waits for the disk: the log does.
// The log outlives it; close() before it ends.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "protocol/net/loop.h"
#include "server/metadata/metadata_log.h"

namespace andyx::server {

class MetadataPulls : public std::enable_shared_from_this<MetadataPulls> {
 public:
  struct Entries {
    std::vector<LogEntry> entries;
    Position tail = 0;              // as this node knows it
    Position snapshot_version = 0;  // `from` was forgotten: read the snapshot of this position
  };
  struct Part {
    Position version = 0;  // 0: there is no snapshot
    std::shared_ptr<const EntryBytes> bytes;
    std::size_t offset = 0, size = 0;
  };
  template <typename T>
  using Done = std::move_only_function<void(Result<T>)>;

  static std::shared_ptr<MetadataPulls> create(net::Loop& loop, MetadataLog& log);

  // Entries from `from` on, until about `max_bytes`. Where there are none yet it waits up to
  // `max_wait_ms` for them; then none. kOverloaded: limits::kMaxParkedMetadataPulls wait.
  void pull(Position from, std::size_t max_bytes, std::uint32_t max_wait_ms, Done<Entries> done);
  // Of the snapshot `version`, or of the newest where that is 0. kOffsetOutOfRange: there is a
  // newer one now, begin anew; or `offset` is behind its end.
  void part(Position version, std::size_t offset, std::size_t max_bytes, Done<Part> done);
  // The log is known to go on until here: as each image is published.
  void tail_moved(Position tail);

  // Answers those that wait with kShuttingDown; so is what comes later.
  void close();
  std::size_t parked() const { return parked_.size(); }

 private:
  struct Parked {
    Position from = 0;
    std::size_t max_bytes = 0;
    std::uint64_t until_ms = 0;
    Done<Entries> done;
  };
  struct Snapshot {
    Position version = 0;
    std::shared_ptr<const EntryBytes> bytes;
  };

  MetadataPulls(net::Loop& loop, MetadataLog& log);
  void read(Parked pull);
  void read_done(Parked pull, Result<std::vector<LogEntry>> entries);
  void load(Done<Snapshot> done);
  void expire();
  void arm();

  net::Loop& loop_;
  MetadataLog* log_;  // null: closed
  Position tail_ = 0;
  std::list<Parked> parked_;
  Snapshot served_;  // while somebody reads it
  std::uint64_t served_ms_ = 0;
  std::unique_ptr<net::Loop::Timer> timer_;
};

}  // namespace andyx::server
