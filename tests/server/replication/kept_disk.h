// A disk that outlives the node that writes to it: a shard in memory behind a face that a node may
// close, and another one open later. What is submitted while it is held back is lost when its node
// is killed.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "storage/storage_shard.h"

namespace andyx::server::testing {

class KeptDisk {
 public:
  KeptDisk() : shard_(storage::open_memory_shard({})) {}

  std::unique_ptr<storage::StorageShard> open();
  // Until release(), or for ever when the node is killed meanwhile.
  void hold();
  void release();
  storage::StorageShard& shard() { return *shard_; }

 private:
  class Face;
  // Outlive the shard, whose writer may still have results for them.
  std::vector<std::shared_ptr<Face>> faces_;
  std::shared_ptr<Face> face_;
  std::unique_ptr<storage::StorageShard> shard_;
};

}  // namespace andyx::server::testing
