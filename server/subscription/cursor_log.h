// The internal log of a partition: the durable changes of its subscriptions, one record for all
// that changed while the last one was being written. Snapshots keep it short.
//
// Thread: the partition's loop. Owned by Partition.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_set>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "server/subscription/cursor_record.h"
#include "storage/storage_shard.h"

namespace andyx::server {

class CoreLoop;
class Partition;

class CursorLog {
 public:
  using Confirmed = std::move_only_function<void(Status)>;

  CursorLog(CoreLoop& loop, Partition& partition, PartitionId id);

  // Reads snapshot and log at start, oldest change first. Blocks.
  Status recover(const std::function<void(const CursorChange&)>& apply);

  // The subscription has changes to be written. `confirmed` (may be empty) when everything that it
  // has changed up to now is durable.
  void changed(SubscriptionId subscription, Confirmed confirmed);
  void deleted(SubscriptionId subscription);

  // The partition is deleted: answers who waits, writes nothing more.
  void close();

  bool idle() const { return !writing_ && dirty_.empty() && deleted_.empty() && waiting_.empty(); }

 private:
  // What one write carries.
  struct Round {
    std::vector<CursorChange> changes;
    std::vector<SubscriptionId> subscriptions;
    std::vector<Confirmed> confirmed;
    Offset first = 0, end = 0;  // its records in the internal log
    bool snapshot = false;
  };

  void schedule();
  void write_round();
  void written(ErrorCode error, Round round);
  void lost(ErrorCode error, Round& round);
  void gather(Round& round);
  storage::StatePut snapshot() const;

  CoreLoop& loop_;
  Partition& partition_;
  PartitionId id_;
  Offset end_ = 0;
  std::size_t bytes_since_snapshot_ = 0;
  std::size_t snapshot_bytes_ = 0;
  std::unordered_set<SubscriptionId> dirty_;
  std::vector<SubscriptionId> deleted_;
  std::vector<Confirmed> waiting_;
  bool scheduled_ = false;
  bool writing_ = false;
  bool closed_ = false;
};

}  // namespace andyx::server
