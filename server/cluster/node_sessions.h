// The part of the controller that keeps the sessions of nodes, as heartbeats and connections see
// it. A shell around ClusterCore implements it. The control loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "server/cluster/measured_load.h"
#include "server/metadata/image.h"
#include "server/metadata/metadata_log.h"

namespace andyx::server {

// What a node says of itself: NodeHeartbeat in cluster.fbs, where the meanings are.
struct NodeReport {
  Position version = 0;
  std::uint64_t image_hash = 0;
  std::uint32_t oldest_write_ms = 0;
  std::uint32_t slowest_loop_ms = 0;
  std::vector<PartitionId> failing_pulls;
  std::uint32_t partitions = 0;
  std::uint32_t mains = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;  // of clients, to and from its mains
  std::uint64_t disk_bytes = 0, disk_free_bytes = 0;
  std::uint64_t peer_progress = 0;
  bool stopping = false;
  std::string metadata_stopped;  // why it follows the metadata no more; empty: it does
  std::optional<MeasuredLoad> load;
};

class NodeSessions {
 public:
  struct Answer {
    NodeId controller = 0;
    ControllerEpoch epoch = 0;
    Position tail = 0;
    std::uint32_t session_ms = 0;
    std::string astray;  // how its image differs from what it should be; empty: it does not
  };
  virtual ~NodeSessions() = default;

  // kNotController, with `node` where it is known: this node is not the controller. kNodeConflict:
  // of an incarnation that has ended. kUnknownNode.
  virtual Result<Answer> heartbeat(NodeId node, std::uint64_t incarnation,
                                   const NodeReport& report) = 0;
  // One that heartbeats came over. No proof of death; ignored where this is not the controller.
  virtual void connection_closed(NodeId node, std::uint64_t incarnation) = 0;
};

}  // namespace andyx::server
