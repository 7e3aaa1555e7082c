// What the loops of one node share. Made by Server before any loop runs, outlives them all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/net/loop.h"
#include "server/app/config.h"
#include "server/cluster/metadata_pulls.h"
#include "server/cluster/node_links.h"
#include "server/cluster/node_sessions.h"
#include "server/loop/read_pool.h"
#include "server/metadata/controller.h"
#include "server/replication/node_pace.h"
#include "storage/storage_shard.h"

namespace andyx::server {

class ClusterController;
class CoreLoop;
class ReplicationControl;
class RaftMetadataLog;

struct Node {
  Config config;
  net::Address address;    // where it really listens
  net::Address advertise;  // what clients are told
  std::uint64_t incarnation = 0;
  std::uint64_t started_ns = 0;
  std::unique_ptr<storage::StorageShard> shard;
  std::unique_ptr<ReadPool> read_pool;
  NodePace catch_up_pace;
  Uuid cluster_id;
  std::uint64_t metadata_group = 0;  // Image::group of the Raft group that its peer is of
  Controller* controller = nullptr;
  RaftMetadataLog* raft = nullptr;  // the controller's log; as long as that lives
  // Of the control loop; null until the node has such a part, and again when it stops. Used on that
  // loop only, but for the loop itself.
  net::Loop* control_loop = nullptr;
  std::shared_ptr<MetadataPulls> metadata_pulls;  // where it has the metadata log
  // The backup that is read from here now, in parts; a later one takes its place.
  std::shared_ptr<const std::vector<std::uint8_t>> backup;
  Position backup_version = 0;
  NodeSessions* sessions = nullptr;
  ClusterController* cluster = nullptr;       // any thread, for what its header says
  ReplicationControl* replication = nullptr;  // any loop; null: the node is alone
  // Connections of a loop to other nodes; empty: there are none. On that loop's thread.
  std::function<std::unique_ptr<NodeLinks>(net::Loop&, NodeLinks::Events&)> make_links;
  std::vector<std::unique_ptr<CoreLoop>> loops;

  std::atomic<std::uint64_t> next_connection_id{1};
  std::atomic<std::uint32_t> connections{0};
  std::atomic<std::size_t> bytes_in_flight{0};  // of requests not yet answered

  // What it tells other nodes of its Raft peer: 1 + its group; 0: it runs none.
  std::uint64_t said_group() const { return raft == nullptr ? 0 : 1 + metadata_group; }
  CoreLoop& loop_of(PartitionId partition) { return *loops[partition % loops.size()]; }
  bool over_budget() const {
    return bytes_in_flight.load(std::memory_order_relaxed) > limits::kMaxInFlightBytesPerNode;
  }
};

}  // namespace andyx::server
