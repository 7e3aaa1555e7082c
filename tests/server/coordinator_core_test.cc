#include "server/subscription/coordinator_core.h"

#include <doctest/doctest.h>

namespace andyx::server {
namespace {

TEST_CASE("a second consumer is refused, and the refusal names the first") {
  CoordinatorCore core("orders", 1);
  REQUIRE(core.attach("alice", 11, 1).has_value());
  const auto second = core.attach("bob", 22, 2);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kSubscriptionBusy);
  CHECK(second.error().message.find("alice") != std::string::npos);
  CHECK(second.error().message.find("orders") != std::string::npos);
  CHECK(core.consumer()->name == "alice");
}

TEST_CASE("the name alone is not the session") {
  CoordinatorCore core("orders", 1);
  REQUIRE(core.attach("alice", 11, 1).has_value());
  CHECK_FALSE(core.attach("alice", 12, 2).has_value());
}

TEST_CASE("the same session takes its own place under a newer epoch") {
  CoordinatorCore core("orders", 1);
  const auto first = core.attach("alice", 11, 1);
  const auto second = core.attach("alice", 11, 2);
  REQUIRE(second.has_value());
  CHECK(second->attach_epoch > first->attach_epoch);
  REQUIRE(second->displaced.has_value());
  CHECK(second->displaced->connection == 1);
  CHECK(second->displaced->attach_epoch == first->attach_epoch);
  CHECK(core.consumer()->connection == 2);
}

TEST_CASE("epochs start at the seed and grow with every attach") {
  CoordinatorCore core("orders", std::uint64_t{5} << 32);
  std::uint64_t last = (std::uint64_t{5} << 32) - 1;
  for (int i = 0; i < 3; ++i) {
    const auto attached = core.attach("alice", 11, 1);
    CHECK(attached->attach_epoch == last + 1);
    last = attached->attach_epoch;
    CHECK(core.detach(last));
  }
}

TEST_CASE("only the present attach can detach") {
  CoordinatorCore core("orders", 1);
  const auto first = core.attach("alice", 11, 1);
  const auto second = core.attach("alice", 11, 2);
  CHECK_FALSE(core.detach(first->attach_epoch));
  CHECK(core.consumer().has_value());
  CHECK(core.detach(second->attach_epoch));
  CHECK_FALSE(core.consumer().has_value());
  CHECK_FALSE(core.detach(second->attach_epoch));
  const auto third = core.attach("bob", 22, 3);
  REQUIRE(third.has_value());
  CHECK_FALSE(third->displaced.has_value());
}

TEST_CASE("a lost connection frees the subscription, that of an earlier attach does not") {
  CoordinatorCore core("orders", 1);
  REQUIRE(core.attach("alice", 11, 1).has_value());
  REQUIRE(core.attach("alice", 11, 2).has_value());
  CHECK_FALSE(core.connection_lost(1).has_value());
  const auto left = core.connection_lost(2);
  REQUIRE(left.has_value());
  CHECK(left->name == "alice");
  CHECK(core.attach("bob", 22, 3).has_value());
}

}  // namespace
}  // namespace andyx::server
