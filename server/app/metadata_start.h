// The metadata log of a node at its start: Raft's, in DATA_DIR/raft. Begins a new group, takes over
// what an earlier version kept in the storage shard, or joins a cluster.
//
// Rows of the shard: "cluster-id" (the id, and whether this node began the cluster) from before
// Raft's store is made, with the group of the metadata once they were recovered by force;
// "metadata-in-raft" once the node is registered, from when on that store must not be empty: a peer
// that lost it has forgotten its votes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/app/config.h"
#include "server/cluster/membership.h"
#include "server/metadata/controller.h"
#include "server/metadata/raft_metadata_log.h"
#include "storage/storage_shard.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace andyx::server {

// Asks a node of the cluster (Config::join) to take this one in: the id of the cluster. Blocks as
// long as it takes.
using JoinCluster = std::function<Result<Joined>(const Config& config, const NodeSpec& node)>;

struct StartedMetadata {
  std::unique_ptr<RaftMetadataLog> log;
  Uuid cluster_id;
  bool founder = false;     // began the cluster: bootstraps it where that has not come to be yet
  std::uint64_t group = 0;  // of its Raft peer: Image::group
};

// What the data directory says of the cluster that it belongs to.
struct Membership {
  Uuid cluster_id;
  bool founder = false;
  std::uint64_t group = 0;  // Image::group of its Raft store
};
Result<std::optional<Membership>> read_membership(storage::StorageShard& shard);
Status write_membership(storage::StorageShard& shard, const Membership& membership);

// Whose the Raft store of such a node is.
raft::StoreIdentity store_identity(const Membership& membership, NodeId node, const Uuid& disk_id);
// Where the store lies; a recovery makes the one of its group beside it, and it takes that place
// once the membership names the group. Finishes that where it was interrupted. kIo.
std::string store_path(const std::string& data_dir);
std::string store_path(const std::string& data_dir, std::uint64_t group);
Status put_store_in_place(const std::string& data_dir, const Membership& membership);
// Also while the one of a new group is on its way there.
bool has_store(const std::string& data_dir);
// Those of groups that have not come to be: nothing names them. After put_store_in_place(). kIo.
Status remove_unfinished_stores(const std::string& data_dir);
// From now on it is the Raft store that has the metadata. Blocks.
Status confirm_in_raft(storage::StorageShard& shard);

// `known`: other nodes, asked whether this one is of the present group of the metadata.
// Blocks. The errors are those of RaftMetadataLog::open; kDataLoss: Raft's store is gone;
// kBadArgument: another node id than before, or a node with metadata of its own is to join.
Result<StartedMetadata> start_metadata_log(const Config& config, const NodeSpec& node,
                                           storage::StorageShard& shard,
                                           std::shared_ptr<rocksdb::FileSystem> file_system,
                                           const JoinCluster& join,
                                           const std::vector<net::Address>& known = {});

// The same for a node that runs no Raft peer: the id of the cluster that it is a member of, or
// joins now. kBadArgument: it is to begin a cluster.
Result<Uuid> join_without_peer(const Config& config, const NodeSpec& node,
                               storage::StorageShard& shard, const JoinCluster& join);

// When the node is registered; frees what the shard held of the metadata. Blocks.
Status confirm_metadata_log(storage::StorageShard& shard);

}  // namespace andyx::server
