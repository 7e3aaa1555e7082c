// The metadata log of one node in a storage shard: entries are records of the log kMetadataLog (one
// batch for each append), and small state under "metadata/" holds epoch, tail and snapshot. The
// tail is written in one group with its entries, so that a log which lost some is found at open.
//
// Every call blocks on the disk; one thread (LocalMetadataLog's). The shard must outlive the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "server/metadata/metadata_log.h"
#include "server/metadata/raft_metadata_log_content.h"
#include "storage/storage_shard.h"

namespace andyx::server {

class LocalMetadataStore {
 public:
  // kDataLoss: less is there than was acknowledged. kCorrupt: parts that do not belong together.
  static Result<LocalMetadataStore> open(storage::StorageShard& shard);

  Result<ControllerEpoch> campaign();
  AppendResult append(Position expected, ControllerEpoch epoch,
                      const std::vector<EntryBytes>& entries);
  Result<std::vector<LogEntry>> read(Position from, std::size_t max_bytes);
  Result<Position> tail();
  Status put_snapshot(const ImageSnapshotBytes& snapshot);
  Result<std::optional<ImageSnapshotBytes>> get_snapshot();
  Status trim(Position before);

  // All of it, to go on with in a log of another kind.
  Result<MetadataLogContent> content();
  // From the shard: nothing of it must be needed any more. Fine where there is nothing.
  static Status remove(storage::StorageShard& shard);

 private:
  explicit LocalMetadataStore(storage::StorageShard& shard) : shard_(&shard) {}

  Status load();
  Status check_tail();
  AppendResult write(const std::vector<EntryBytes>& entries, ControllerEpoch epoch);

  storage::StorageShard* shard_;
  ControllerEpoch epoch_ = 0;
  Position start_ = 0;
  Position tail_ = 0;
  Position snapshot_position_ = 0;  // 0: there is none
  bool unknown_ = false;            // after an indeterminate append, until tail()
};

}  // namespace andyx::server
