#include <doctest/doctest.h>

#include <map>
#include <set>

#include "server/metadata/placement.h"
#include "tests/server/cluster_history.h"

namespace andyx::server::test {
namespace {

TEST_CASE("two nodes, two partitions: one main on each") {
  Cluster cluster(2);
  REQUIRE(cluster.create("t", 2, 1).status);
  CHECK(cluster.at(1, 0).main == 1);
  CHECK(cluster.at(1, 1).main == 2);
}

TEST_CASE("new partitions go where the least is") {
  Cluster cluster(2);
  REQUIRE(cluster.create("old", 4, 1).status);
  REQUIRE(cluster.add_node(3).status);
  REQUIRE(cluster.create("t", 2, 1).status);
  CHECK(cluster.at(2, 0).main == 3);
  CHECK(cluster.at(2, 1).main == 3);
  REQUIRE(cluster.create("u", 3, 1).status);
  for (NodeId node = 1; node <= 3; ++node) CHECK(cluster.image().loads.of(node).mains == 3);
}

TEST_CASE("mains, copies, and what fails over from each node are spread evenly") {
  Cluster cluster(4);
  REQUIRE(cluster.create("t", 24, 3).status);
  std::map<NodeId, std::map<NodeId, int>> next_in_line;
  for (const PartitionRecord& p : cluster.image().find_topic(TopicId{1})->partitions()) {
    CHECK(std::set<NodeId>(p.replicas.begin(), p.replicas.end()).size() == 3);
    CHECK(p.in_sync == p.replicas);
    ++next_in_line[p.main][p.replicas[1]];
  }
  for (NodeId node = 1; node <= 4; ++node) {
    CHECK(cluster.image().loads.of(node).mains == 6);
    CHECK(cluster.image().loads.of(node).copies == 18);
    for (const auto& [follower, count] : next_in_line[node]) CHECK(count <= 3);
    CHECK(next_in_line[node].size() >= 2);
  }
}

TEST_CASE("nothing is placed on nodes that are offline, draining, or no brokers") {
  Cluster cluster(4);
  REQUIRE(cluster.add_node(5, 1, true, kMetadataRole).status);
  REQUIRE(cluster.lose(2).status);
  REQUIRE(cluster.apply(DrainNodeCommand{3, true}).status);
  CHECK(count_brokers(cluster.image()) == 3);
  // The node that is offline gets its copy later: there are three brokers.
  REQUIRE(cluster.create("t", 6, 3).status);
  for (const PartitionRecord& p : cluster.image().find_topic(TopicId{1})->partitions()) {
    CHECK(std::set<NodeId>(p.replicas.begin(), p.replicas.end()) == std::set<NodeId>{1, 4});
    CHECK(p.min_in_sync == 2);
  }
  CHECK(cluster.image().find_topic(TopicId{1})->replication_factor == 3);
  const Outcome four = cluster.create("u", 1, 4);
  CHECK(code_of(four) == ErrorCode::kBadArgument);
  CHECK(four.status.error().message.find("has 3") != std::string::npos);
  CHECK(code_of(cluster.create("u", 1, 8)) == ErrorCode::kBadArgument);
  REQUIRE(cluster.lose(1).status);
  REQUIRE(cluster.lose(4).status);
  CHECK(code_of(cluster.create("u", 1, 1)) == ErrorCode::kNotInSync);
  // Nor by a command that says so.
  CHECK(code_of(cluster.apply(CreateTopicCommand{topic_name("u"), 1, 1, {1}})) ==
        ErrorCode::kBadArgument);
}

TEST_CASE("a topic has three copies by default, or one on each broker") {
  for (const NodeId nodes : {1u, 2u, 3u, 5u}) {
    Cluster cluster(nodes);
    REQUIRE(cluster.create("t", 1, 0).status);
    CHECK(cluster.at().replicas.size() == std::min(nodes, 3u));
    TopicProposal automatic{.name = topic_name("auto"), .partitions = 2, .automatic = true};
    REQUIRE(cluster.wish(automatic).status);
    CHECK(cluster.at(2).replicas.size() == std::min(nodes, 3u));
  }
}

TEST_CASE("more partitions have the copies that the topic has") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 2).status);
  REQUIRE(cluster.create("a", 1, 2, true).status);
  REQUIRE(cluster.wish(TopicAlteration{topic_name("t"), 3}).status);
  REQUIRE(cluster.wish(TopicAlteration{topic_name("a"), 3}).status);
  CHECK(cluster.at(1, 2).replicas.size() == 2);
  CHECK(cluster.at(2, 2).in_sync.size() == 1);
  CHECK(cluster.at(2, 2).observers.size() == 1);
  const auto position = cluster.image().position;
  REQUIRE(cluster.wish(TopicAlteration{topic_name("t"), 3, 2}).status);
  REQUIRE(cluster.wish(TopicAlteration{topic_name("t"), 0, 2}).status);
  CHECK(cluster.image().position == position);  // nothing to write
  CHECK(code_of(cluster.wish(TopicAlteration{topic_name("t"), 2, 3})) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.wish(TopicAlteration{topic_name("t"), 0, 0})) == ErrorCode::kBadArgument);
}

TEST_CASE("what is so already is answered without an entry") {
  Cluster cluster(2);
  REQUIRE(cluster.create("t", 1, 2).status);
  REQUIRE(cluster.lose(2).status);
  const auto position = cluster.image().position;
  CHECK(cluster.wish(NodeLostCommand{2, 1}).status);
  CHECK(cluster.wish(NodeFoundCommand{1, 1}).status);
  CHECK(cluster.wish(DrainNodeCommand{1, false}).status);
  CHECK(cluster.wish(PauseBalancingCommand{false}).status);
  CHECK(cluster.wish(ElectMainsCommand{2, {}}).status);
  CHECK(cluster.wish(PartitionElect{topic_name("t"), 0, 1}).status);
  CHECK(cluster.image().position == position);
}

TEST_CASE("moves and elections are asked for by name") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 2).status);
  CHECK(code_of(cluster.wish(PartitionMove{topic_name("x"), 0, 0, 3})) == ErrorCode::kUnknownTopic);
  CHECK(code_of(cluster.wish(PartitionMove{topic_name("t"), 1, 0, 3})) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.wish(PartitionElect{topic_name("t"), 1, 2})) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.wish(PartitionElect{topic_name("x"), 0, 2})) == ErrorCode::kUnknownTopic);
  CHECK(code_of(cluster.wish(PartitionMove{topic_name("t"), 0, 0, 9})) == ErrorCode::kUnknownNode);
  // To a copy that is in sync: it leads.
  REQUIRE(cluster.wish(PartitionMove{topic_name("t"), 0, 0, 2}).status);
  CHECK(cluster.at().main == 2);
  CHECK(cluster.at().replicas.size() == 2);
  REQUIRE(cluster.wish(PartitionMove{topic_name("t"), 0, 1, 3}).status);
  CHECK(cluster.at().moving_from == 1);
  CHECK(cluster.at().joining == 3);
  // And back: the move ends.
  REQUIRE(cluster.wish(PartitionMove{topic_name("t"), 0, 3, 1}).status);
  CHECK(cluster.at().replicas == std::vector<NodeId>{1, 2});
  CHECK(cluster.at().moving_from == 0);
  CHECK(cluster.at().joining == 0);
  REQUIRE(cluster.wish(PartitionElect{topic_name("t"), 0, 1}).status);
  CHECK(cluster.at().main == 1);
}

}  // namespace
}  // namespace andyx::server::test
