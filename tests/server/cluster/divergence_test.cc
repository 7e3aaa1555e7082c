#include "server/cluster/divergence.h"

#include <doctest/doctest.h>

#include "protocol/base/limits.h"
#include "tests/server/cluster/running_core.h"

namespace andyx::server::test {
namespace {

// The controller is node 1, and its image at position p has the hash 1000 + p.
struct Compared : Divergence {
  explicit Compared(Position last) {
    for (Position p = 1; p <= last; ++p) published(p, 1'000 + p);
  }
  void agree(NodeId node, Position p) { reported(node, p, 1'000 + p); }
  void differ(NodeId node, Position p, std::uint64_t hash = 5) { reported(node, p, hash); }
};

TEST_CASE("the node whose image differs is found as soon as it is sure to be the odd one out") {
  Compared images(10);
  images.agree(1, 10);
  images.differ(2, 9);
  CHECK(images.astray(3).empty());  // node 3 might say the same as node 2
  images.agree(3, 8);
  const auto found = images.astray(3);
  REQUIRE(found.size() == 1);
  REQUIRE(found.contains(2));
  CHECK(found.at(2).find("at version 9") != std::string::npos);
  CHECK(found.at(2).find("0000000000000005") != std::string::npos);
  CHECK(found.at(2).find("00000000000003f1") != std::string::npos);
  CHECK(images.self_astray(3).empty());
  images.agree(2, 10);  // by chance
  CHECK(images.astray(3).contains(2));
  images.forget(2);
  CHECK(images.astray(3).empty());
}

TEST_CASE("with two nodes the controller is believed, with most against it it is the odd one") {
  Compared images(10);
  images.agree(1, 10);
  images.differ(2, 10);
  CHECK(images.astray(2).contains(2));
  CHECK(images.self_astray(2).empty());
  images.differ(3, 10);
  CHECK(images.astray(3).empty());
  CHECK(images.self_astray(3).find("at version 10") != std::string::npos);
  Compared each_its_own(10);
  each_its_own.agree(1, 10);
  each_its_own.differ(2, 10, 5);
  each_its_own.differ(3, 10, 6);
  CHECK(each_its_own.self_astray(3).empty());
}

TEST_CASE("an image of a position that is not known here says nothing") {
  Compared images(limits::kImageHashesRemembered + 5);
  images.agree(1, 10);
  images.differ(2, 3);
  images.differ(2, limits::kImageHashesRemembered + 6);
  CHECK(images.astray(2).empty());
  images.differ(2, 6);
  CHECK(images.astray(2).contains(2));
}

TEST_CASE("who went astray leads nothing more, until it comes back as another incarnation") {
  RunningCore running(3);
  REQUIRE(running.cluster.create("t", 3, 3).status);
  running.publish();
  running.run(1'000);
  const auto mains_of_2 = [&] { return running.cluster.image().loads.of(2).mains; };
  REQUIRE(mains_of_2() == 1);
  running.health[2].image_hash = 1;  // whatever position it is of
  running.run(1'000);
  CHECK(running.core.view().astray.contains(2));
  CHECK(running.count("mains away from 2") == 1);
  CHECK(mains_of_2() == 0);
  CHECK(running.cluster.image().find_node(2)->alive);
  CHECK(running.core.self_astray().empty());
  running.health.erase(2);
  REQUIRE(running.cluster.add_node(2, 2).status);
  running.publish();
  running.run(1'000);
  CHECK(running.core.view().astray.empty());
  CHECK(running.core.view().ailing.empty());
}

TEST_CASE("who follows the metadata no more leads nothing more") {
  RunningCore running(2);
  REQUIRE(running.cluster.create("t", 2, 2).status);
  running.publish();
  running.health[2].metadata_stopped = true;
  running.run(1'000);
  CHECK(running.cluster.image().loads.of(2).mains == 0);
}

TEST_CASE("a controller that differs from all others blames none of them") {
  RunningCore running(3);
  running.health[2].image_hash = running.health[3].image_hash = 7;
  running.run(1'000);
  CHECK_FALSE(running.core.self_astray().empty());
  CHECK(running.core.view().ailing.empty());
  running.core.follow();
  CHECK(running.core.self_astray().empty());
}

}  // namespace
}  // namespace andyx::server::test
