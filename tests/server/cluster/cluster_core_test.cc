#include <doctest/doctest.h>

#include "tests/server/cluster/running_core.h"

namespace andyx::server::test {
namespace {

bool is_alive(const RunningCore& running, NodeId node) {
  return running.cluster.image().find_node(node)->alive;
}

TEST_CASE("a node that falls silent is lost after its session, and found when it speaks again") {
  RunningCore running(3);
  running.run(3'000);
  CHECK(running.tags.empty());
  running.beating.erase(3);
  running.run(1'200);
  CHECK(is_alive(running, 3));
  running.run(600);
  CHECK_FALSE(is_alive(running, 3));
  CHECK(running.count("lost 3/1") == 1);
  running.beating.insert(3);
  running.run(300);
  CHECK(is_alive(running, 3));
  CHECK(running.count("found 3/1") == 1);
  // Of an earlier life: says nothing about this one.
  REQUIRE(running.cluster.add_node(3, 2).status);
  running.publish();
  running.beating.erase(3);
  for (int i = 0; i < 10; ++i) {
    running.core.heartbeat(3, 1, {}, running.now);
    running.run(300);
  }
  CHECK_FALSE(is_alive(running, 3));
}

TEST_CASE("no heartbeat counts while the loss of its node is on its way into the log") {
  RunningCore running(3);
  running.run(300);
  CHECK(running.core.heartbeat(3, 1, {}, running.now));
  for (int i = 0; i < 16; ++i) {
    running.now += 100;
    running.beat(2);
    running.core.tick(running.now);
  }
  const auto actions = running.core.take_actions();
  REQUIRE(actions.size() == 1);
  CHECK(actions.front().tag == "lost 3/1");
  CHECK_FALSE(running.core.heartbeat(3, 1, {}, running.now));
  CHECK(running.core.heartbeat(2, 1, {}, running.now));
  running.core.done("lost 3/1", fail(ErrorCode::kTimedOut, "no majority"), running.now);
  CHECK(running.core.heartbeat(3, 1, {}, running.now));
  // Nor where it is lost already, until it is found.
  REQUIRE(running.cluster.lose(3).status);
  running.publish();
  CHECK_FALSE(running.core.heartbeat(3, 1, {}, running.now));
}

TEST_CASE("a closed connection shortens the session, a heartbeat makes it whole again") {
  RunningCore running(3);
  running.run(300);
  running.beating = {1};
  running.beat(2);
  running.beat(3);
  running.core.connection_closed(2, running.now);
  running.core.connection_closed(3, running.now);
  running.beat(3);
  running.run(250);
  CHECK_FALSE(is_alive(running, 2));
  CHECK(is_alive(running, 3));
}

TEST_CASE("a new controller gives every node a whole session, and never loses itself") {
  RunningCore running(3);
  running.run(300);
  running.core.follow();
  running.beating.clear();
  running.run(60'000);
  CHECK(running.tags.empty());
  running.core.lead(running.now);
  running.run(1'400);
  CHECK(running.tags.empty());
  running.run(300);
  CHECK(running.tags == std::vector<std::string>{"lost 2/1", "lost 3/1"});
  CHECK(is_alive(running, 1));
}

TEST_CASE("a controller that stood still itself gives the others time to speak") {
  RunningCore running(2);
  running.run(600);
  running.now += 30'050;  // the next tick comes before anybody has spoken
  running.run(3'000);
  CHECK(running.tags.empty());
}

TEST_CASE("an action that was refused comes again, one that is open does not") {
  RunningCore running(2);
  running.beating = {1};
  const auto tick = [&](std::int64_t ms) {
    running.now += ms;
    running.core.tick(running.now);
    return running.core.take_actions().size();
  };
  for (int i = 0; i < 29; ++i) CHECK(tick(50) == 0);
  CHECK(tick(50) == 1);
  for (int i = 0; i < 20; ++i) CHECK(tick(50) == 0);
  running.core.done("lost 2/1", fail(ErrorCode::kNoController, ""), running.now);
  CHECK(tick(50) == 0);
  for (int i = 0; i < 8; ++i) tick(50);
  CHECK(tick(50) == 1);
}

TEST_CASE("mains leave a node whose disk or loop hangs, once for each hang") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 6, 3).status);
  running.publish();
  running.run(600);
  running.health[2].oldest_write_ms = 1'999;
  running.run(600);
  CHECK(running.tags.empty());
  running.health[2].oldest_write_ms = 2'000;
  running.run(9'000);
  CHECK(running.cluster.image().loads.of(2).mains == 0);
  CHECK(running.count("mains away from 2") == 1);
  // Nobody leads who hangs, also when another one does.
  running.health[3].slowest_loop_ms = 2'500;
  running.run(600);
  CHECK(running.cluster.image().loads.of(1).mains == 6);
  // Well again: the mains are spread anew, after a while.
  running.health.clear();
  running.run(4'500);
  CHECK(running.cluster.image().loads.of(1).mains == 6);
  running.run(3'000);
  for (NodeId node = 1; node <= 3; ++node) CHECK(running.cluster.image().loads.of(node).mains >= 1);
}

TEST_CASE("where everybody hangs nothing moves to and fro") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 6, 3).status);
  running.publish();
  for (NodeId node = 1; node <= 3; ++node) running.health[node].oldest_write_ms = 5'000;
  running.run(10'000);
  CHECK(running.tags.size() <= 3);
}

TEST_CASE("a node that is about to stop leads nothing any more") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 6, 3).status);
  REQUIRE(running.cluster.create("alone", 3, 1).status);
  running.publish();
  running.health[3].stopping = true;
  running.beat(3);
  running.carry_out();
  CHECK(running.cluster.image().loads.of(3).mains == 1);  // which nobody else could lead
  // Then it leaves every set, although it speaks and pulls on, and is not found for that.
  running.run(10'000);
  CHECK(running.tags == std::vector<std::string>{"mains away from 3", "lost 3/1"});
  CHECK_FALSE(is_alive(running, 3));
  CHECK(std::ranges::count(running.cluster.at().in_sync, 3u) == 0);
}

TEST_CASE("a main that most of its replicas cannot reach is replaced") {
  RunningCore running(5);
  REQUIRE(running.cluster.create("t", 1, 5).status);
  running.publish();
  const PartitionId id = running.cluster.at().partition_id;
  running.health[2].failing_pulls = {id};
  running.health[3].failing_pulls = {id};
  running.run(3'000);
  CHECK(running.cluster.at().main == 1);  // two of four are no majority
  running.health[4].failing_pulls = {id};
  running.run(600);
  CHECK(running.cluster.at().main == 2);
  CHECK(running.cluster.at().main_epoch == 2);
  // They still say so for a while: the new main is not replaced for that.
  running.run(1'500);
  CHECK(running.cluster.at().main_epoch == 2);
  running.health.clear();
  running.run(10'000);
  CHECK(running.cluster.at().main_epoch == 2);
}

TEST_CASE("a report of a node that does not know the new main yet does not count") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 1, 3).status);
  running.publish();
  NodeHealth old{.version = running.cluster.image().position,
                 .failing_pulls = {running.cluster.at().partition_id}};
  REQUIRE(running.cluster.apply(ElectMainCommand{1, 0, 2}).status);
  running.publish();
  running.core.heartbeat(1, 1, old, running.now);
  running.core.heartbeat(3, 1, old, running.now);
  running.core.tick(running.now);
  CHECK(running.core.take_actions().empty());
  old.version = running.cluster.image().position;
  running.core.heartbeat(1, 1, old, running.now);
  running.core.heartbeat(3, 1, old, running.now);
  running.core.tick(running.now);
  CHECK(running.core.take_actions().size() == 1);
}

}  // namespace
}  // namespace andyx::server::test
