#include "clients/cpp/src/partition_route.h"

#include <doctest/doctest.h>

namespace andyx::client {

TEST_CASE("metadata of an earlier epoch or version does not lead back to an old main") {
  PartitionRoute route;
  CHECK(route.node() == 0);
  CHECK(route.learned(1, 5, 2));
  CHECK(route.learned(2, 6, 3));
  CHECK_FALSE(route.learned(1, 5, 9));
  CHECK_FALSE(route.learned(1, 6, 2));
  CHECK(route.node() == 2);
  CHECK(route.epoch() == 6);
  CHECK(route.learned(0, 6, 4));  // it has no main now
  CHECK(route.node() == 0);
}

TEST_CASE("a redirect is followed until metadata of a later epoch comes") {
  PartitionRoute route;
  route.learned(1, 5, 1);
  route.redirected(1, 2);
  CHECK(route.node() == 2);
  CHECK(route.epoch() == 0);  // what the other one leads under is not known
  route.learned(1, 5, 1);     // says nothing new
  CHECK(route.node() == 2);
  route.learned(3, 6, 1);
  CHECK(route.node() == 3);
  CHECK(route.epoch() == 6);
}

TEST_CASE("a redirect to a node that is gone, or that knows none, leads back to metadata") {
  PartitionRoute route;
  route.learned(1, 5, 1);
  route.redirected(1, 2);
  route.unreachable(2);
  CHECK(route.node() == 1);
  route.redirected(1, 2);
  route.redirected(2, 0);
  CHECK(route.node() == 1);
  CHECK(route.epoch() == 5);
}

TEST_CASE("an answer of a node that is not asked any more changes nothing") {
  PartitionRoute route;
  route.learned(1, 5, 1);
  route.redirected(1, 2);
  route.redirected(1, 3);
  CHECK(route.node() == 2);
  route.unreachable(1);
  CHECK(route.node() == 2);
}

TEST_CASE("who serves under a later epoch is the main, whatever earlier metadata says") {
  PartitionRoute route;
  route.learned(1, 5, 7);
  route.redirected(1, 2);
  route.served(2, 6);
  CHECK(route.node() == 2);
  CHECK(route.epoch() == 6);
  CHECK_FALSE(route.learned(1, 5, 8));
  CHECK(route.learned(2, 6, 1));
  route.served(1, 5);  // late
  CHECK(route.node() == 2);
}

TEST_CASE("the same node in another epoch is asked again, for any epoch") {
  PartitionRoute route;
  route.learned(1, 5, 1);
  route.redirected(1, 1);
  CHECK(route.node() == 1);
  CHECK(route.epoch() == 0);
}

}  // namespace andyx::client
