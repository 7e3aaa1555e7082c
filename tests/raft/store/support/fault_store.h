// A store on a disk that fails as it is told.
#pragma once

#include "tests/raft/store/support/store_fixture.h"
#include "tests/storage/support/fault_fs.h"

namespace andyx::raft::test {

using storage::test::FaultFileSystem;
using storage::test::FileKind;

struct FaultStore {
  explicit FaultStore(std::uint64_t seed = 1)
      : disk(std::make_shared<FaultFileSystem>(directory.path() + "/grave", seed)) {}

  TempDir directory;
  std::shared_ptr<FaultFileSystem> disk;
  StoreOptions options = options_at(directory.path() + "/store");
};

}  // namespace andyx::raft::test
