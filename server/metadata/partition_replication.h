// Between a partition's record in the metadata and what the cores of replication know of it.
// Pure; any thread.
#pragma once

#include "server/metadata/image.h"
#include "server/replication/replication_record.h"

namespace andyx::server {

// Incarnations and sessions from the records of the nodes.
ReplicationRecord replication_record(const Image& image, const PartitionRecord& partition);

// What the rules made of it. A copy that has come into the in-sync set joins no more.
void store_record(const ReplicationRecord& record, PartitionRecord& partition);

}  // namespace andyx::server
