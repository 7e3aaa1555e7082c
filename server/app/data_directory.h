// What the node keeps of itself in its data directory, beside logs and metadata; and what it frees
// there when it starts.
#pragma once

#include <string>

#include "server/metadata/image.h"
#include "server/replication/replica_core.h"
#include "storage/storage_shard.h"

namespace andyx::server {

// The id of this data directory, made at its first start. Blocks until it is durable.
Result<Uuid> disk_id_of(storage::StorageShard& shard);

// One row of the directory's own. Blocks until it is durable.
Status put_durably(storage::StorageShard& shard, const char* key, std::string value);
Status remove_durably(storage::StorageShard& shard, const char* key);

// Of this start: microseconds of the wall clock, but above those of every start before, also where
// that clock was set back meanwhile: the cluster refuses a life that is not newer than the one it
// knows. Blocks until it is durable.
Result<std::uint64_t> next_incarnation(storage::StorageShard& shard, TimeUs now_us);

// Frees the logs of partitions that the image does not have: their topic was deleted, and the node
// stopped before their space was free.
void drop_orphan_logs(storage::StorageShard& shard, const Image& image);

// The same for rows of their delayed messages. Blocks; bounded, what is left goes at later starts.
void drop_orphan_due_rows(storage::StorageShard& shard, const Image& image);

// After a loss of data was accepted, before any partition is opened: rows of delayed messages that
// the logs hold no more. Later messages get their offsets, and would be delivered at those times.
// Blocks while it reads every row.
Status drop_lost_due_rows(storage::StorageShard& shard);

// ---- Cuts of a partition's log (server/partition/partition_roles.cc). Any thread but a loop's:
// they block.
// Durably, before the log is cut: rows of delayed messages that are cut have to go.
Status note_cut(storage::StorageShard& shard, PartitionId id, const CutLog& cut);
// After the cut, and at start: where there is a note, drops those rows, then the note. A cut that
// never happened leaves them.
Status finish_cut(storage::StorageShard& shard, PartitionId id);
// All of a partition.
Status drop_due_rows(storage::StorageShard& shard, PartitionId id);

}  // namespace andyx::server
