// Copies and mains come to where they should be: convergence and balance, with the core around
// them.
#include <doctest/doctest.h>

#include "protocol/base/limits.h"
#include "server/cluster/balance.h"
#include "server/cluster/convergence.h"
#include "server/cluster/safe_to_stop.h"
#include "tests/server/cluster/running_core.h"

namespace andyx::server::test {
namespace {

void check_whole(const RunningCore& running, std::size_t factor) {
  for (const Topic& topic : running.cluster.image().topics_by_id) {
    for (const PartitionRecord& p : topic.partitions()) {
      CHECK(p.replicas.size() == factor);
      CHECK(p.main != 0);
      CHECK(p.joining == 0);
      CHECK(p.moving_from == 0);
    }
  }
}

std::vector<Wish> mains_to_spread(const Image& image, const ClusterView& view) {
  Balance balance(image, view);
  return spread_mains(image, balance);
}

TEST_CASE("copies come up to a raised replication factor, a few at a time, and go down again") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 10, 1).status);
  REQUIRE(running.cluster.wish(TopicAlteration{topic_name("t"), 0, 3}).status);
  running.publish();
  running.catching_up = false;
  running.run(5'000);
  CHECK(running.core.moving() == limits::kMaxMoves);
  CHECK(running.tags.size() == limits::kMaxMoves);
  running.catching_up = true;
  running.run(10'000);
  check_whole(running, 3);
  CHECK(running.cluster.at().in_sync.size() == 3);
  CHECK(running.cluster.at().min_in_sync == 2);
  REQUIRE(running.cluster.wish(TopicAlteration{topic_name("t"), 0, 2}).status);
  running.publish();
  running.run(3'000);
  check_whole(running, 2);
  for (NodeId node = 1; node <= 3; ++node)
    CHECK(running.cluster.image().loads.of(node).copies >= 6);
  CHECK(running.refusals.empty());
}

TEST_CASE("an async topic gets observers, its main stays alone in the set") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 3, 1, true).status);
  REQUIRE(running.cluster.wish(TopicAlteration{topic_name("t"), 0, 3}).status);
  running.publish();
  running.run(10'000);
  check_whole(running, 3);
  CHECK(running.cluster.at().in_sync.size() == 1);
  CHECK(running.cluster.at().observers.size() == 2);
  CHECK(running.refusals.empty());
}

TEST_CASE("a draining node ends up empty, though balancing is paused, and may be removed") {
  for (const bool async : {false, true}) {
    for (const std::uint32_t factor : {1u, 3u}) {
      CAPTURE(async);
      CAPTURE(factor);
      RunningCore running(4);
      REQUIRE(running.cluster.create("t", 8, factor, async).status);
      REQUIRE(running.cluster.apply(PauseBalancingCommand{true}).status);
      REQUIRE(running.cluster.apply(DrainNodeCommand{2, true}).status);
      running.publish();
      running.run(30'000);
      check_whole(running, factor);
      CHECK(running.cluster.image().loads.of(2).copies == 0);
      CHECK(running.cluster.apply(RemoveNodeCommand{2}).status);
      CHECK(running.refusals.empty());
    }
  }
}

TEST_CASE("a node without a place for its copies gives up its mains at least") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 6, 3).status);
  REQUIRE(running.cluster.apply(DrainNodeCommand{2, true}).status);
  running.publish();
  running.run(2'000);
  check_whole(running, 3);
  CHECK(running.cluster.image().loads.of(2).mains == 0);
  CHECK(running.cluster.image().loads.of(2).copies == 6);
}

TEST_CASE("an operator's move is carried through, also by another controller") {
  RunningCore running(4);
  REQUIRE(running.cluster.create("t", 1, 3).status);
  REQUIRE(running.cluster.wish(PartitionMove{topic_name("t"), 0, 0, 4}).status);
  running.publish();
  running.catching_up = false;
  running.run(2'000);
  CHECK(running.cluster.at().replicas == std::vector<NodeId>{1, 2, 3, 4});
  running.core.follow();
  running.core.lead(running.now);
  running.catching_up = true;
  running.run(2'000);
  CHECK(running.cluster.at().main == 4);
  CHECK(running.cluster.at().replicas == std::vector<NodeId>{2, 3, 4});
  CHECK(running.cluster.at().in_sync.size() == 3);
  CHECK(running.refusals.empty());
}

TEST_CASE("a move whose target never comes back is given up") {
  RunningCore running(4);
  REQUIRE(running.cluster.create("t", 1, 3).status);
  REQUIRE(running.cluster.wish(PartitionMove{topic_name("t"), 0, 0, 4}).status);
  running.publish();
  running.beating.erase(4);
  running.catching_up = false;
  running.run(50'000);
  CHECK(running.cluster.at().joining == 4);
  running.run(20'000);
  CHECK(running.cluster.at().replicas == std::vector<NodeId>{1, 2, 3});
  CHECK(running.cluster.at().moving_from == 0);
}

TEST_CASE("copies of a node that is offline wait for it") {
  RunningCore running(4);
  REQUIRE(running.cluster.create("t", 8, 3).status);
  running.publish();
  running.beating.erase(4);
  running.run(120'000);
  CHECK(running.cluster.image().loads.of(4).copies == 6);
  CHECK(running.cluster.image().loads.of(4).mains == 0);
  running.beating.insert(4);
  running.run(20'000);
  check_whole(running, 3);
  CHECK(running.cluster.image().loads.of(4).mains >= 1);  // it leads its share again
  CHECK(running.refusals.empty());
}

TEST_CASE("where there is no main nothing is taken away: any copy may be needed") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 1, 2).status);
  REQUIRE(running.cluster.propose({1}).status);
  REQUIRE(running.cluster.lose(1).status);
  REQUIRE(running.cluster.wish(TopicAlteration{topic_name("t"), 0, 1}).status);
  running.publish();
  running.beating = {2, 3};
  running.run(70'000);
  CHECK(running.cluster.at().main == 0);
  CHECK(running.cluster.at().replicas.size() == 2);
}

TEST_CASE("a new node gets copies and mains, slowly, unless balancing is paused") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 12, 2).status);
  REQUIRE(running.cluster.add_node(4).status);
  running.beating.insert(4);
  REQUIRE(running.cluster.apply(PauseBalancingCommand{true}).status);
  running.publish();
  running.run(10'000);
  CHECK(running.tags.empty());
  REQUIRE(running.cluster.apply(PauseBalancingCommand{false}).status);
  running.publish();
  running.run(40'000);
  check_whole(running, 2);
  CHECK(running.cluster.image().loads.of(4).copies >= 5);
  CHECK(running.cluster.image().loads.of(4).mains >= 1);
  const std::size_t done = running.tags.size();
  running.run(20'000);
  CHECK(running.tags.size() == done);  // it comes to rest
  CHECK(running.refusals.empty());
}

TEST_CASE("mains move in bounded rounds, only from nodes that lead clearly too many") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 300, 3).status);
  CHECK(mains_to_spread(cluster.image(), {}).empty());
  REQUIRE(cluster.apply(ElectMainsCommand{3, {}}).status);
  CHECK(mains_to_spread(cluster.image(), {}).size() == limits::kMaxMainsSpreadPerRound);
  ClusterView ailing;
  ailing.ailing = {3};
  CHECK(mains_to_spread(cluster.image(), ailing).empty());
}

TEST_CASE("a node is safe to stop when nothing becomes unwritable and the voters keep a majority") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 3, 3).status);
  const std::vector<NodeId> voters{1, 2, 3};
  CHECK(safe_to_stop(cluster.image(), 1, voters).safe);
  CHECK_FALSE(safe_to_stop(cluster.image(), 9, voters).safe);
  CHECK_FALSE(safe_to_stop(cluster.image(), 1, {1}).safe);
  CHECK(safe_to_stop(cluster.image(), 2, {1}).safe);
  REQUIRE(cluster.propose({1, 2}).status);
  CHECK_FALSE(safe_to_stop(cluster.image(), 1, voters).safe);  // below min-in-sync
  CHECK(safe_to_stop(cluster.image(), 3, voters).safe);
  REQUIRE(cluster.propose({1, 2, 3}).status);
  REQUIRE(cluster.create("alone", 1, 1).status);
  const NodeId main = cluster.at(2).main;
  const SafeToStop alone = safe_to_stop(cluster.image(), main, voters);
  CHECK_FALSE(alone.safe);
  CHECK(alone.why.find("last copy") != std::string::npos);
  REQUIRE(cluster.apply(DeleteTopicCommand{2}).status);
  REQUIRE(cluster.add_node(4, 1, true, kMetadataRole).status);
  REQUIRE(cluster.add_node(5, 1, true, kMetadataRole).status);
  REQUIRE(cluster.lose(4).status);
  CHECK(safe_to_stop(cluster.image(), 5, voters).safe);
  CHECK_FALSE(safe_to_stop(cluster.image(), 5, {1, 4, 5}).safe);  // no majority left
}

}  // namespace
}  // namespace andyx::server::test
