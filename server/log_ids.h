// Which storage log holds what. Each partition has two: its messages, and its internal log (changes
// of subscriptions). The metadata log is the internal log of "partition 0", which does not exist.
#pragma once

#include "protocol/base/ids.h"
#include "storage/storage_shard.h"

namespace andyx::server {

inline storage::LogId data_log(PartitionId partition) { return partition << 1; }
inline storage::LogId internal_log(PartitionId partition) { return (partition << 1) | 1; }
inline constexpr storage::LogId kMetadataLog = 1;

}  // namespace andyx::server
