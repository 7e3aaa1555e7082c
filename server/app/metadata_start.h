// The metadata log of a node at its start: Raft's, in DATA_DIR/raft. Begins a new group, takes over
// what an earlier version kept in the storage shard, or joins a cluster.
//
// Rows of the shard: "cluster-id" (the id, and whether this node began the cluster) from before
// Raft's store is made; "metadata-in-raft" once the node is registered, from when on that store
// must not be empty: a peer that lost it has forgotten its votes.
#pragma once

#include <functional>
#include <memory>

#include "server/app/config.h"
#include "server/metadata/controller.h"
#include "server/metadata/raft_metadata_log.h"
#include "storage/storage_shard.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace andyx::server {

// Asks a node of the cluster (Config::join) to take this one in: the id of the cluster. Blocks as
// long as it takes.
using JoinCluster = std::function<Result<Uuid>(const Config& config, const NodeSpec& node)>;

struct StartedMetadata {
  std::unique_ptr<RaftMetadataLog> log;
  Uuid cluster_id;
  bool founder = false;  // began the cluster: bootstraps it where that has not come to be yet
};

// Blocks. The errors are those of RaftMetadataLog::open; kDataLoss: Raft's store is gone;
// kBadArgument: another node id than before, or a node with metadata of its own is to join.
Result<StartedMetadata> start_metadata_log(const Config& config, const NodeSpec& node,
                                           storage::StorageShard& shard,
                                           std::shared_ptr<rocksdb::FileSystem> file_system,
                                           const JoinCluster& join);

// The same for a node that runs no Raft peer: the id of the cluster that it is a member of, or
// joins now. kBadArgument: it is to begin a cluster.
Result<Uuid> join_without_peer(const Config& config, const NodeSpec& node,
                               storage::StorageShard& shard, const JoinCluster& join);

// When the node is registered; frees what the shard held of the metadata. Blocks.
Status confirm_metadata_log(storage::StorageShard& shard);

}  // namespace andyx::server
