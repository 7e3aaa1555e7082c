// What the node that leads the metadata does for the cluster: keeps the sessions of the nodes,
// elects other mains, moves copies, chooses the voters. The shell around ClusterCore and the
// voters' policy: carries heartbeats, images and time in, wishes to the Controller and changes to
// the Raft group out.
//
// Threads: the control loop; what says so, any thread. Destroyed there or after its loop has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "protocol/net/loop.h"
#include "protocol/net/tcp.h"
#include "raft/core/raw_node.h"
#include "server/cluster/cluster_core.h"
#include "server/cluster/node_sessions.h"
#include "server/metadata/controller.h"

namespace andyx::server {

// The Raft group of the metadata, as a node with a peer sees it. Any thread.
class MetadataGroup {
 public:
  virtual ~MetadataGroup() = default;
  virtual void status(std::move_only_function<void(raft::NodeStatus)> done) = 0;
  virtual void change(raft::ConfChange change, std::move_only_function<void()> done) = 0;
  virtual void add_peer(raft::PeerId peer, const net::Address& address) = 0;
  virtual void remove_peer(raft::PeerId peer) = 0;
  virtual void transfer_leader(raft::PeerId to) = 0;
};

struct ClusterControllerOptions {
  NodeId self = 0;
  std::uint32_t tick_ms = 50;
  std::uint32_t group_ms = 500;  // between two looks at the Raft group
};

class ClusterController final : public NodeSessions {
 public:
  // `group`: null where this node runs no Raft peer; it never leads then.
  ClusterController(net::Loop& loop, Controller& controller, MetadataGroup* group,
                    ClusterControllerOptions options);
  ~ClusterController() override;

  void start();
  void stop();  // no more wishes
  void image(std::shared_ptr<const Image> image);
  void role(bool leading);
  void controller_failed() { failed_ = true; }  // this node never leads any more
  // This node is about to stop: where it leads the metadata, another voter is to. Called until that
  // is so, as it may not succeed at once.
  void resign();
  // Whom resign() would leave it to; 0: nobody, or it does not lead.
  NodeId successor() const;

  Result<Answer> heartbeat(NodeId node, std::uint64_t incarnation,
                           const NodeReport& report) override;
  void connection_closed(NodeId node, std::uint64_t incarnation) override;

  // For descriptions. Any thread.
  struct Members {
    std::vector<NodeId> voters, learners;
    NodeId leader = 0;
  };
  Members members() const;
  // The last report of each node; empty where this node does not lead.
  std::map<NodeId, NodeReport> reports() const;
  std::map<NodeId, std::string> astray()
      const;                     // nodes whose image is not as it should be, and how
  std::uint32_t moving() const;  // copies under way
  ClusterCore::Evenness evenness() const;

 private:
  void tick();
  std::string tell_astray(NodeId node);
  void act();
  void look_at_group();
  void group_seen(const raft::NodeStatus& status);
  void meet_peers(const Image& image);
  void hand_leadership_on(const raft::NodeStatus& status);

  net::Loop& loop_;
  Controller& controller_;
  MetadataGroup* group_;
  const ClusterControllerOptions options_;
  ClusterCore core_;
  std::unique_ptr<net::Loop::Timer> ticks_, looks_;
  std::shared_ptr<const Image> image_ = std::make_shared<const Image>();
  bool leading_ = false;
  bool stopping_ = false;
  bool failed_ = false;
  bool looking_ = false;
  bool changing_ = false;                      // a change of the group is under way
  std::map<NodeId, net::Address> met_;         // peers that the group was told of
  std::map<NodeId, std::int64_t> away_since_;  // of nodes that are not alive, in ms of BOOTTIME

  mutable std::mutex mutex_;
  Members members_;
  std::map<NodeId, NodeReport> reports_;
  std::map<NodeId, std::string> astray_;
  std::uint32_t moving_ = 0;
  ClusterCore::Evenness evenness_;
};

}  // namespace andyx::server
