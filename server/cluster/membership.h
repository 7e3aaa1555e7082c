// Becoming a member of a cluster: asks its nodes, one after the other, to take this one in; and
// what a member keeps of the others' addresses, to find them when it starts again.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/net/tcp.h"
#include "server/metadata/controller.h"
#include "server/metadata/image.h"

namespace andyx::server {

struct JoinRequest {
  NodeSpec node;
  Uuid cluster_id;                      // that its data directory belongs to; zero: none yet
  std::vector<net::Address> addresses;  // of the cluster's nodes, tried in turn
  std::uint32_t call_timeout_ms = 5'000;
  std::uint32_t pause_ms = 100, max_pause_ms = 1'000;  // after a round that found nobody
  std::uint32_t say_every_ms = 5'000;                  // in the log, that nobody was found
};
struct Joined {
  Uuid cluster_id;
  Position version = 0;  // of the metadata that has this node
};

// Goes on until a node has answered or `cancelled`. For good: kWrongCluster (with both ids),
// kNodeConflict (the node id is taken), kUnsupportedVersion, kBadArgument, kLimitReached;
// kShuttingDown: cancelled. Blocks; runs an event loop of its own.
Result<Joined> join_cluster(const JoinRequest& request, const std::atomic<bool>& cancelled);

// DATA_DIR/nodes: "HOST:PORT" of the other nodes, one a line. A help to find them, no truth:
// missing or damaged lines are left out.
std::vector<net::Address> read_known_nodes(const std::string& data_dir);
// Replaces the file. kIo.
Status write_known_nodes(const std::string& data_dir, const Image& image, NodeId self);

}  // namespace andyx::server
