// Opens a shard on RocksDB. See STORAGE.md for keys, generations and recovery.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/storage_shard.h"

namespace rocksdb {
class FileSystem;
}

namespace andyx::storage {

// What recovery found; for the log at start, and for tests.
struct RecoveryReport {
  bool clean_stop = false;
  std::uint32_t logs = 0;
  std::uint64_t replayed_batches = 0;  // written after the last flush
  std::uint64_t replayed_bytes = 0;
  std::uint64_t cut_batches = 0;      // an unacknowledged tail that was torn, and dropped
  std::string data_loss;              // with accept_data_loss, or without fsync: what was lost
  std::vector<std::string> warnings;  // damage that cost nothing
};

// `directory` is created when missing, locked (kDataDirLocked), and carries a format version
// (kDataDirVersion for a newer one). kDataLoss when less was recovered than was acknowledged and
// accept_data_loss is off; kCorrupt for a damaged file; messages say what to do. `file_system`:
// null for the real one; tests inject faults with it (the watermark file goes through it too).
Result<std::unique_ptr<StorageShard>> open_rocksdb_shard(
    const ShardOptions& options, std::shared_ptr<rocksdb::FileSystem> file_system = nullptr,
    RecoveryReport* report = nullptr);

}  // namespace andyx::storage
