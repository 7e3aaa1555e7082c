// A disk that outlives the node that writes to it: a shard in memory, or on RocksDB, behind a face
// that a node may close, and another one open later. What is submitted while it is held back is
// lost when its node is killed.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "storage/storage_shard.h"
#include "tests/storage/support/test_batches.h"

namespace andyx::server::testing {

enum class DiskKind : std::uint8_t { kMemory, kRocksDb };

class KeptDisk {
 public:
  explicit KeptDisk(DiskKind kind);

  std::unique_ptr<storage::StorageShard> open();
  // Until release(), or for ever when the node is killed meanwhile.
  void hold();
  void release();
  // While it is full it refuses at once whatever is submitted; what is held back is taken already.
  void fill(bool full);
  std::size_t refused();  // groups, since it was opened
  storage::StorageShard& shard() { return *shard_; }

 private:
  class Face;
  std::optional<storage::test::TempDir> directory_;  // outlives the shard
  // Outlive the shard, whose writer may still have results for them.
  std::vector<std::shared_ptr<Face>> faces_;
  std::shared_ptr<Face> face_;
  std::unique_ptr<storage::StorageShard> shard_;
};

}  // namespace andyx::server::testing
