// What is done to the metadata of a node that is stopped: a backup is restored, or the one voter
// that is left goes on alone. Both begin a new Raft group (Image::group) of which this node is the
// only voter; the store of the group before is kept as DATA_DIR/raft.replaced. Peers of that group
// are refused by those of the new one, and join again when they are started (metadata_start.h).
//
// Interrupted, either command can be given again: what counts is the row that names the group, and
// it is written when the new store is complete. A restore that had come so far finds its own image
// there, and is done.
#pragma once

#include <string>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"

namespace andyx::server {

struct RecoveryTarget {
  std::string data_dir;
  NodeId node_id = 1;
};

// Puts a backup in the place of the metadata of the node, which has to be a member of the cluster
// of the backup. In a directory that belongs to no cluster yet (or is missing) a new cluster
// begins: it has the backup's topics, settings and subscriptions, another id, and no messages. What
// was done, for the operator. kDataDirLocked: the node runs. kCorrupt, kUnsupportedVersion: of the
// file. kWrongCluster. kNodeConflict: the backup knows another disk under this node id. kNotEmpty:
// the metadata there are newer, or cannot be read, and `force` was not given. Blocks.
Result<std::string> restore_metadata(const RecoveryTarget& target, ByteSpan backup, bool force);

// Makes the node the only voter with the metadata that it has. kDataLoss without
// `accept_data_loss`: the message says what may be lost; nothing was changed. kBadArgument: it is
// the only voter already, or has no metadata. kDataDirLocked. Blocks.
Result<std::string> force_recover_metadata(const RecoveryTarget& target, bool accept_data_loss);

}  // namespace andyx::server
