// What a cluster says of itself. Values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "andyx/types.h"

namespace andyx::client {

// Bits of ClusterNode::roles.
inline constexpr std::uint8_t kRoleBroker = 1;
inline constexpr std::uint8_t kRoleMetadata = 2;
inline constexpr std::uint8_t kRoleBalancer = 4;

struct ClusterNode {
  NodeId node_id = 0;
  std::string host;
  std::uint16_t port = 0, peer_port = 0;  // for clients and nodes; for Raft peers, 0: none
  std::uint8_t roles = 0;
  std::string status;  // "online", "offline", "recovering"…
  bool alive = false;
  bool draining = false;
  bool controller = false;
  bool voter = false, learner = false;  // of the metadata's Raft group
  std::uint64_t incarnation = 0;
  std::uint64_t version = 0;            // position of its image of the metadata
  std::uint32_t mains = 0, copies = 0;  // partitions that it leads, and that it has at all
  // Of clients, to its mains and from them: since its start, and each second over the last 30 s.
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t in_rate = 0, out_rate = 0;
  std::uint64_t disk_bytes = 0, disk_free_bytes = 0;
  std::uint64_t stored_bytes = 0;  // live, of its copies: no more than are on the disk
  std::string note;                // what is wrong with it; empty: nothing that is known
};

// A node that carries clearly more or less than the others, in percent of the average.
struct NodeUnevenness {
  NodeId node_id = 0;
  bool copies = false;         // of copies; else of mains
  std::uint32_t score = 0;     // what balancing goes by
  std::uint32_t number = 0;    // how many
  std::uint32_t measured = 0;  // their traffic, or their bytes; where that counts
};

struct ClusterStatus {
  std::string cluster_id;
  std::string status;     // "online", "partially-online", "recovering", "offline"
  NodeId controller = 0;  // 0: none now
  std::uint64_t controller_epoch = 0;
  std::uint64_t version = 0;  // tail of the metadata log
  std::vector<NodeId> voters;
  std::vector<ClusterNode> nodes;
  std::uint32_t partitions = 0;
  std::uint32_t under_replicated = 0;  // their in-sync set is smaller than it should be
  std::uint32_t without_main = 0;
  bool balancing_paused = false;
  std::uint32_t moves = 0;  // copies that move now
  // What balancing goes by beside numbers, where there is enough of it: traffic of mains, bytes of
  // copies. Known to the controller alone.
  bool by_traffic = false, by_disk = false;
  std::vector<NodeUnevenness> uneven;
  std::string note;  // what an operator should know; empty: nothing
};

struct StopAdvice {
  bool safe = false;
  std::string why;  // where it is not: what would be lost, or would stop
};

}  // namespace andyx::client
