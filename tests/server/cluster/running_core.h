// A ClusterCore that leads over an image in memory: carries out its wishes, lets time pass, lets
// the nodes send heartbeats. For tests.
#pragma once

#include <map>
#include <set>

#include "server/cluster/cluster_core.h"
#include "tests/server/cluster_history.h"

namespace andyx::server::test {

class RunningCore {
 public:
  explicit RunningCore(NodeId nodes) : cluster(nodes), core({.self = 1}) {
    for (NodeId node = 1; node <= nodes; ++node) beating.insert(node);
    publish();
    core.lead(now);
  }

  void publish() { core.image(cluster.shared(), now); }
  void beat(NodeId node) {
    NodeHealth says = health[node];
    says.version = cluster.image().position;
    if (says.image_hash == 0) says.image_hash = cluster.image().hash();
    core.heartbeat(node, cluster.incarnation(node), says, now);
  }

  // Heartbeats every 300 ms of those that are `beating`, ticks every 50 ms; wishes are carried out
  // at once, and copies catch up when `catching_up`.
  void run(std::int64_t ms) {
    for (const std::int64_t end = now + ms; now < end; now += 50) {
      if (now % 300 == 0) {
        for (const NodeId node : beating) beat(node);
      }
      core.tick(now);
      carry_out();
      if (catching_up) join_all();
    }
  }

  void carry_out() {
    for (ClusterAction& action : core.take_actions()) {
      tags.push_back(action.tag);
      const Outcome outcome = cluster.wish(action.wish);
      if (!outcome.status) refusals.push_back(outcome.status.error().message);
      publish();
      core.done(action.tag, outcome.status, now);
    }
  }

  // Every copy that is alive comes in sync, as its main would propose it.
  void join_all() {
    std::vector<std::pair<TopicId, std::uint32_t>> all;
    for (const Topic& topic : cluster.image().topics_by_id) {
      for (const PartitionRecord& p : topic.partitions()) all.emplace_back(topic.id, p.index);
    }
    for (const auto& [topic, index] : all) {
      const PartitionRecord p = cluster.at(topic, index);
      if (p.main == 0) continue;
      std::vector<NodeId> set;
      for (const NodeId node : p.replicas) {
        const bool observer = std::ranges::find(p.observers, node) != p.observers.end();
        if (!observer && cluster.image().find_node(node)->alive) set.push_back(node);
      }
      if (set.size() > p.in_sync.size()) REQUIRE(cluster.propose(set, topic, index).status);
    }
    publish();
  }

  std::size_t count(const std::string& tag) const {
    return static_cast<std::size_t>(std::ranges::count(tags, tag));
  }

  Cluster cluster;
  ClusterCore core;
  std::int64_t now = 600'000;
  bool catching_up = true;
  std::set<NodeId> beating;
  std::map<NodeId, NodeHealth> health;
  std::vector<std::string> tags, refusals;
};

}  // namespace andyx::server::test
