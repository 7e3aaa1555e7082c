// The decisions of the controller about nodes and copies that are no answer to a wish: who is lost,
// who leads instead, where copies go. A pure state machine, active on the node that leads the
// metadata only: events in, wishes to propose out. Times are milliseconds of BOOTTIME. One thread,
// the control loop; its shell carries heartbeats in and wishes to the Controller.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/cluster/cluster_view.h"
#include "server/cluster/divergence.h"
#include "server/cluster/scores.h"
#include "server/metadata/proposal.h"

namespace andyx::server {

// What a node says of itself (NodeHeartbeat in cluster.fbs).
struct NodeHealth {
  Position version = 0;  // of its image
  std::uint64_t image_hash = 0;
  // The largest number: storage has stopped, or its disk is full.
  std::uint32_t oldest_write_ms = 0;
  std::uint32_t slowest_loop_ms = 0;
  std::vector<PartitionId> failing_pulls;  // of its replicas, whose main does not answer
  bool stopping = false;                   // it goes, and waits until it counts as lost
  bool metadata_stopped = false;           // follows no more
  std::optional<MeasuredLoad> load;
};

struct ClusterOptions {
  NodeId self = 0;  // never lost to itself
  std::int64_t session_ms = 1'500;
  std::int64_t closed_ms = 200;  // what is left of a session when its connection closes
  std::int64_t hang_ms = 2'000;  // of a write or a loop, until its node leads no more
};

// `tag` names the intention: no other action of that tag comes until done() is called with it.
struct ClusterAction {
  std::string tag;
  Wish wish;
};

class ClusterCore {
 public:
  explicit ClusterCore(ClusterOptions options) : options_(options) {}

  // This node has become the controller: every node begins with a whole session. What was open
  // before is forgotten.
  void lead(std::int64_t now_ms);
  void follow();

  // Each image that is published, also while following.
  void image(std::shared_ptr<const Image> image, std::int64_t now_ms);
  // Of an incarnation that is not the registered one: ignored. False: the node may not take this
  // for a sign that its session stands, because its end has been decided, and perhaps is on its
  // way into the log still. A main would go on answering alone after another one was elected.
  bool heartbeat(NodeId node, std::uint64_t incarnation, NodeHealth health, std::int64_t now_ms);
  void connection_closed(NodeId node, std::int64_t now_ms);
  // Every 50 to 100 ms.
  void tick(std::int64_t now_ms);
  // What became of an action; a refused one comes again later, if it is still wanted.
  void done(const std::string& tag, const Status& status, std::int64_t now_ms);

  // Everything since the last call.
  std::vector<ClusterAction> take_actions() { return std::exchange(actions_, {}); }

  const ClusterView& view() const { return view_; }
  // How this node's own image differs from that of most nodes: it must not lead. Empty: it does
  // not.
  std::string self_astray() const;
  std::uint32_t moving() const { return moving_; }  // copies under way, as of the last round
  // What spreading goes by, as of its last round, also while that is paused.
  struct Evenness {
    bool by_traffic = false, by_disk = false;  // beside the numbers of mains, and of copies
    std::vector<Scores::Off> off;              // nodes that are clearly off the average
  };
  const Evenness& evenness() const { return evenness_; }

 private:
  struct Session {
    std::uint64_t incarnation = 0;
    std::int64_t until_ms = 0;
    NodeHealth health;
  };
  // A partition whose main is said not to answer.
  struct Suspect {
    MainEpoch main_epoch = 0;
    Position since = 0;  // reports of nodes with an older image may be of an earlier main
    std::int64_t replaced_ms = 0;
  };
  struct Tried {
    bool open = true;
    std::int64_t again_ms = 0;  // when it was refused
  };

  bool active() const { return leading_ && image_ != nullptr; }
  void follow_nodes(std::int64_t now_ms);
  void forget_health(NodeId node);
  void compare(NodeId node, const NodeHealth& health);
  void judge(NodeId node, const NodeHealth& health, std::int64_t now_ms);
  void expire_sessions(std::int64_t now_ms);
  void move_mains_from_ailing(std::int64_t now_ms);
  bool leads_movable(NodeId node) const;
  bool is_open(const std::string& tag) const;
  void replace_unreachable_mains(std::int64_t now_ms);
  void replace_if_unreachable(TopicId topic, const PartitionRecord& partition,
                              const std::vector<NodeId>& reporters, std::int64_t now_ms);
  bool converge_now(std::int64_t now_ms);
  void arrange(std::int64_t now_ms);
  void spread(bool allowed, std::int64_t now_ms);
  void propose(Wish wish, std::int64_t now_ms);

  const ClusterOptions options_;
  bool leading_ = false;
  std::shared_ptr<const Image> image_;
  std::shared_ptr<const Image> arranged_;  // nothing was to be done in it
  std::map<NodeId, Session> sessions_;     // of the nodes that are alive in the image
  std::map<PartitionId, Suspect> suspects_;
  std::map<std::string, Tried> tried_;  // at most limits::kMaxClusterActions open, and refused ones
  ClusterView view_;
  Divergence divergence_;
  std::vector<ClusterAction> actions_;
  std::int64_t ticked_ms_ = 0;
  std::int64_t unrest_ms_ = 0;  // when a node last came, went, or fell ill
  std::int64_t next_round_ms_ = 0;
  std::int64_t next_look_ms_ = 0;
  std::int64_t moved_ms_ = 0;  // when spreading last moved something, or a copy was under way
  std::uint32_t moving_ = 0;
  Evenness evenness_;
};

}  // namespace andyx::server
