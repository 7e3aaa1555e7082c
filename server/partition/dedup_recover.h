// The ids of the messages in a log, and the window rebuilt from them when its node starts.
#pragma once

#include <vector>

#include "protocol/batch/batch_reader.h"
#include "server/partition/dedup_window.h"
#include "storage/storage_shard.h"

namespace andyx::server {

// Of all messages of the batch, 0 for those without; empty when none has one.
std::vector<std::uint64_t> message_ids(ByteSpan batch, const batch::Header& header);

// Reads the part of the log that was appended within the window before `now_us`, at most its last
// limits::kMaxDedupIdsPerPartition messages. Blocks on the disk.
Result<DedupWindow> recover_dedup(storage::StorageShard& shard, storage::LogId log,
                                  std::uint32_t window_ms, TimeUs now_us);

}  // namespace andyx::server
