// What an operator is told of the cluster.
#include "server/cluster/cluster_status.h"

#include <doctest/doctest.h>

#include "tests/server/cluster_history.h"

namespace andyx::server::test {
namespace {

ClusterSummary of(const Cluster& cluster, std::vector<NodeId> voters, NodeId controller = 1,
                  std::string silence = {}) {
  return summarize(cluster.image(), {.controller = controller,
                                     .voters = std::move(voters),
                                     .reports = {},
                                     .astray = {},
                                     .silence = std::move(silence)});
}

bool says(const ClusterSummary& summary, const std::string& text) {
  return summary.note.find(text) != std::string::npos;
}

TEST_CASE("online: one node alone, and three with every copy in sync") {
  Cluster one(1);
  REQUIRE(one.create("t", 2, 1).status);
  const ClusterSummary alone = of(one, {1});
  CHECK(alone.status == "online");
  CHECK(alone.partitions == 2);
  CHECK(alone.note.empty());
  Cluster three(3);
  REQUIRE(three.create("t", 4, 3).status);
  const ClusterSummary whole = of(three, {1, 2, 3});
  CHECK(whole.status == "online");
  CHECK(whole.under_replicated == 0);
  CHECK(whole.note.empty());
}

TEST_CASE("partially-online while a node is away, recovering until its copies are in sync again") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3).status);
  REQUIRE(cluster.lose(3).status);
  const ClusterSummary away = of(cluster, {1, 2, 3});
  CHECK(away.status == "partially-online");
  CHECK(away.under_replicated == 1);
  CHECK(away.without_main == 0);
  CHECK(says(away, "2 of 3 voters are online; the cluster decides with 2"));
  CHECK(says(away, "1 node is offline"));
  CHECK(says(away, "1 partition has fewer copies in sync than wanted"));
  REQUIRE(cluster.find(3).status);
  const ClusterSummary back = of(cluster, {1, 2, 3});
  CHECK(back.status == "recovering");
  CHECK(back.under_replicated == 1);
  REQUIRE(cluster.join(3).status);
  CHECK(of(cluster, {1, 2, 3}).status == "online");
}

TEST_CASE("a partition without main is counted, and told") {
  Cluster cluster(2);
  REQUIRE(cluster.create("t", 2, 1).status);
  REQUIRE(cluster.lose(2).status);
  const ClusterSummary summary = of(cluster, {1});
  CHECK(summary.without_main == 1);
  CHECK(summary.status == "partially-online");
  CHECK(says(summary, "1 partition has no main"));
}

TEST_CASE("a cluster with all of its nodes is partially-online while a partition has no main") {
  Cluster cluster(2);
  REQUIRE(cluster.create("t", 1, 2).status);
  const NodeId last = cluster.at().main;
  const NodeId behind = last == 1 ? 2 : 1;
  REQUIRE(cluster.lose(behind).status);
  REQUIRE(cluster.lose(last).status);
  REQUIRE(cluster.find(behind).status);
  REQUIRE(cluster.add_node(last, 2, false).status);  // its disk has lost what was durable
  const ClusterSummary summary = of(cluster, {1});
  CHECK_FALSE(says(summary, "offline"));
  CHECK(summary.without_main == 1);
  CHECK(summary.status == "partially-online");
}

TEST_CASE("offline: without a controller, or when it does not answer") {
  Cluster cluster(3);
  CHECK(of(cluster, {1, 2, 3}, 0).status == "offline");
  const ClusterSummary silent = of(cluster, {1, 2, 3}, 2, "node 2: no answer");
  CHECK(silent.status == "offline");
  CHECK(says(silent, "the controller does not answer: node 2: no answer"));
}

TEST_CASE("two nodes have one voter, and that is told") {
  CHECK(says(of(Cluster(2), {1}), "2 nodes have one voter"));
  CHECK(of(Cluster(3), {1, 2, 3}).note.empty());
}

TEST_CASE("an async topic has one copy in the set; its observers are missed, too") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3, true).status);
  CHECK(of(cluster, {1, 2, 3}).under_replicated == 0);
  const NodeId observer = cluster.at().observers.front();
  REQUIRE(cluster
              .apply(ChangeReplicasCommand{
                  .topic_id = 1, .version = cluster.at().version, .remove = observer})
              .status);
  CHECK(of(cluster, {1, 2, 3}).under_replicated == 1);
}

TEST_CASE("copies that no node could hold are not missing") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3).status);
  REQUIRE(cluster.lose(3).status);
  const NodeId gone = 3;
  REQUIRE(cluster
              .apply(ChangeReplicasCommand{
                  .topic_id = 1, .version = cluster.at().version, .remove = gone})
              .status);
  CHECK(of(cluster, {1, 2}).under_replicated == 1);
  REQUIRE(cluster.apply(RemoveNodeCommand{gone}).status);
  CHECK(of(cluster, {1, 2}).under_replicated == 0);
}

TEST_CASE("a drain says when it is done, and when it cannot be") {
  Cluster cluster(2);
  REQUIRE(cluster.create("t", 1, 1).status);
  const NodeId holder = cluster.at().main;
  const NodeId empty = holder == 1 ? 2 : 1;
  const auto drain = [&](NodeId node) {
    REQUIRE(cluster.apply(DrainNodeCommand{node, true}).status);
  };
  drain(holder);
  CHECK_FALSE(says(of(cluster, {1}), "drain"));
  drain(empty);
  const ClusterSummary both = of(cluster, {1});
  CHECK(says(both, "node " + std::to_string(empty) + " is drained: it may be removed"));
  CHECK(says(both, "node " + std::to_string(holder) + " is draining, and no other node can"));
}

TEST_CASE("the word for a node") {
  NodeRecord node;
  node.id = 2;
  ClusterFacts facts;
  CHECK(status_word(node, facts) == "online");
  facts.reports[2] = {};
  CHECK(status_word(node, facts) == "online");
  node.draining = true;
  CHECK(status_word(node, facts) == "draining");
  facts.reports[2].stopping = true;
  CHECK(status_word(node, facts) == "disconnecting");
  node.alive = false;
  CHECK(status_word(node, facts) == "offline");
}

TEST_CASE("a node whose metadata are not as they should be is told of, with the reason") {
  Cluster cluster(3);
  ClusterFacts facts{
      .controller = 1, .voters = {1, 2, 3}, .reports = {}, .astray = {}, .silence = {}};
  facts.reports[3].metadata_stopped = "the log went back";
  facts.astray[2] = "has other metadata";
  const auto node = [&](NodeId id) { return *cluster.image().find_node(id); };
  CHECK(status_word(node(1), facts) == "online");
  CHECK(node_note(node(1), facts).empty());
  CHECK(status_word(node(2), facts) == "disconnecting");
  CHECK(node_note(node(2), facts) == "has other metadata");
  CHECK(status_word(node(3), facts) == "disconnecting");
  CHECK(node_note(node(3), facts) == "does not follow the metadata any more: the log went back");
  const ClusterSummary summary = summarize(cluster.image(), facts);
  CHECK(summary.status == "partially-online");
  CHECK(says(summary, "node 2 has other metadata"));
  facts.astray.clear();
  const ClusterSummary stopped = summarize(cluster.image(), facts);
  CHECK(stopped.status == "partially-online");
  CHECK(says(stopped, "node 3 does not follow the metadata any more: the log went back"));
}

}  // namespace
}  // namespace andyx::server::test
