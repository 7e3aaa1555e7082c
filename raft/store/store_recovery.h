// What a store holds when it is opened, checked: the state against the watermark, each entry by its
// checksum and by the term before it, the snapshot by its checksum. A last round that only the
// watermark's copy holds is written again. Whatever was synced is there, or this refuses; what is
// behind the last synced round was cut by RocksDB. On the opening thread.
#pragma once

#include "protocol/base/error.h"
#include "raft/store/log_view.h"
#include "raft/store/store_database.h"
#include "raft/store/watermark.h"

namespace andyx::raft {

struct Recovered {
  StoreState state;
  LogView log;
  SnapshotRow snapshot_row;
  SnapshotPtr snapshot;  // never null
};

// kDataLoss: less is there than was synced. kCorrupt: something fails its checksum.
Result<Recovered> recover_store(StoreDatabase& database, const MarkedRound& newest,
                                const std::string& path, std::uint64_t cache_bytes);

}  // namespace andyx::raft
