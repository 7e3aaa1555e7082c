// What makes a node a member of its cluster: the connections of its control loop, its heartbeats,
// its way to the controller, and what it does for the cluster where it leads. Part of the
// composition root.
//
// Threads: made before the control loop runs; image(), role(), metadata_failed(), start() and
// close() on that loop; what says so, any thread. Outlives the controller and the event loops.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "protocol/net/loop.h"
#include "server/app/node.h"
#include "server/cluster/cluster_controller.h"
#include "server/cluster/controller_link.h"
#include "server/cluster/heartbeats.h"
#include "server/cluster/membership.h"
#include "server/cluster/node_links.h"
#include "server/cluster/node_replication.h"

namespace andyx::server {

class RemoteMetadataLog;

class ClusterParts {
 public:
  // `known`: other nodes, for as long as there is no metadata that names them.
  ClusterParts(Node& node, net::Loop& loop, std::vector<net::Address> known);
  ~ClusterParts();

  ControllerPeer& controller_peer() { return link_; }
  // The metadata log of a node that runs no Raft peer.
  std::unique_ptr<MetadataLog> remote_log();
  // Once, before the controller starts.
  void set_controller(Controller& controller);

  void start();
  void image(const std::shared_ptr<const Image>& image);
  void role(bool leading);
  void metadata_failed(const Error& error);  // this node does not follow the metadata any more
  void close();

  // Any thread. This node is about to stop: its mains are to move away first, then the metadata's
  // lead, then its copies leave their sets.
  void stopping();
  // Any thread. Nobody waits for this node any more, or nobody is there who could go on.
  bool may_stop() const { return may_stop_; }

 private:
  class Group;
  NodeReport report() const;
  void leave();
  bool leads_movable() const;
  std::uint32_t slowest_loop_ms() const;

  Node& node_;
  net::Loop& loop_;
  std::unique_ptr<NodeLinks> links_;
  std::shared_ptr<MetadataPeers> peers_;
  ControllerLink link_;
  std::unique_ptr<Group> group_;
  std::unique_ptr<ClusterController> cluster_;
  std::unique_ptr<Heartbeats> heartbeats_;
  std::unique_ptr<NodeReplication> replication_;
  RemoteMetadataLog* remote_ = nullptr;  // the controller's, where it has that one
  std::vector<KnownNode> written_;
  std::string metadata_stopped_;  // why
  std::atomic<std::uint64_t> heard_ms_{0};
  std::atomic<bool> stopping_{false}, may_stop_{false};
  std::unique_ptr<net::Loop::Timer> leaving_;
  std::atomic<bool> beat_posted_{false};
};

}  // namespace andyx::server
