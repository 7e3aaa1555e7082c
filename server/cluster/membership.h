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
// Another node, as it was when it was last heard of.
struct KnownNode {
  NodeId node = 0;
  net::Address address;         // as advertised
  std::uint16_t peer_port = 0;  // of its Raft peer, on the same host; 0: it runs none

  bool operator==(const KnownNode& other) const {
    return node == other.node && peer_port == other.peer_port &&
           address.text() == other.address.text();
  }
};
struct Joined {
  Uuid cluster_id;
  Position version = 0;  // of the metadata that has this node
  std::vector<KnownNode> others;
  std::uint64_t metadata_group = 0;  // Image::group
};

// Goes on until a node has answered or `cancelled`. For good: kWrongCluster (with both ids),
// kNodeConflict (the node id is taken), kUnsupportedVersion, kBadArgument, kLimitReached;
// kShuttingDown: cancelled. Blocks; runs an event loop of its own.
Result<Joined> join_cluster(const JoinRequest& request, const std::atomic<bool>& cancelled);

// Those of these nodes that know of a newer Raft group of the cluster's metadata than `group`: they
// were recovered by force while this node was away. Asks all at once, for at most `timeout_ms`; a
// node that does not answer says nothing. Blocks; runs an event loop of its own.
std::vector<net::Address> nodes_of_newer_group(const NodeSpec& self, const Uuid& cluster_id,
                                               std::uint64_t group,
                                               const std::vector<net::Address>& nodes,
                                               std::uint32_t timeout_ms = 1'000);

std::vector<KnownNode> other_nodes(const Image& image, NodeId self);

// DATA_DIR/nodes: "NODE_ID HOST:PORT PEER_PORT" of the other nodes, one a line. A help to find
// them, no truth: missing or damaged lines are left out.
std::vector<KnownNode> read_known_nodes(const std::string& data_dir);
// Replaces the file. kIo.
Status write_known_nodes(const std::string& data_dir, const std::vector<KnownNode>& nodes);

}  // namespace andyx::server
