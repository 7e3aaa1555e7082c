#include "server/subscription/coordinator_core.h"

#include <doctest/doctest.h>

#include "common_generated.h"

namespace andyx::server {
namespace {

using protocol::SubscriptionType;
using Grants = std::vector<PartitionGrant>;

CoordinatorCore make(SubscriptionType type, std::uint32_t partitions = 1, std::uint64_t first = 1) {
  return CoordinatorCore("orders", type, partitions, first);
}

std::uint64_t attach(CoordinatorCore& core, const std::string& name, std::uint64_t session,
                     std::int32_t priority = 0) {
  const auto attached = core.attach({name, session, session, priority, false});
  REQUIRE(attached.has_value());
  return attached->attach_epoch;
}

std::vector<std::uint32_t> partitions_of(const CoordinatorCore& core, std::uint64_t attachment) {
  std::vector<std::uint32_t> found;
  for (const PartitionGrant& grant : core.grants(attachment)) found.push_back(grant.partition);
  return found;
}

// Says that everything is drained; the actions of the last one.
CoordinatorCore::Actions drain(CoordinatorCore& core, const CoordinatorCore::Actions& actions) {
  CoordinatorCore::Actions last;
  for (const auto& revoke : actions.revokes) last = core.drained(revoke.partition, revoke.epoch);
  return last;
}

TEST_CASE("unique: a second consumer is refused, and the refusal names the first") {
  auto core = make(SubscriptionType::unique);
  attach(core, "alice", 11);
  const auto second = core.attach({"bob", 22, 2, 0, false});
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kSubscriptionBusy);
  CHECK(second.error().message.find("alice") != std::string::npos);
  CHECK(second.error().message.find("orders") != std::string::npos);
  // The name alone is not the session, and priority is for failover.
  CHECK_FALSE(core.attach({"alice", 12, 2, 9, false}).has_value());
  CHECK(core.consumers().size() == 1);
}

TEST_CASE("unique: take-over detaches the present consumer and gives everything at once") {
  auto core = make(SubscriptionType::unique, 3);
  const auto alice = attach(core, "alice", 11);
  const auto before = core.grants(alice);
  const auto bob = core.attach({"bob", 22, 2, 0, true});
  REQUIRE(bob.has_value());
  REQUIRE(bob->actions.ended.size() == 1);
  CHECK(bob->actions.ended[0].consumer.name == "alice");
  CHECK(bob->actions.ended[0].consumer.connection == 11);
  CHECK(bob->actions.ended[0].reason.code == ErrorCode::kStaleAttach);
  CHECK(bob->actions.ended[0].reason.message.find("bob") != std::string::npos);
  CHECK(bob->actions.revokes.empty());
  const auto after = core.grants(bob->attach_epoch);
  REQUIRE(after.size() == 3);
  CHECK(after[0].epoch > before[0].epoch);
  CHECK(core.grants(alice).empty());
}

TEST_CASE("the same session takes its own place under newer epochs, with the same partitions") {
  for (const auto type : {SubscriptionType::unique, SubscriptionType::failover}) {
    auto core = make(type, 5);
    const auto first = attach(core, "alice", 11);
    if (type == SubscriptionType::failover) drain(core, core.attach({"bob", 22, 2})->actions);
    const auto had = core.grants(first);
    const auto again = core.attach({"alice", 11, 3});
    REQUIRE(again.has_value());
    CHECK(again->attach_epoch > first);
    REQUIRE(again->actions.ended.size() == 1);
    CHECK(again->actions.ended[0].consumer.attach_epoch == first);
    CHECK(again->actions.assigned.empty());  // nobody else is touched
    CHECK(again->actions.revokes.empty());
    const auto has = core.grants(again->attach_epoch);
    REQUIRE(has.size() == had.size());
    for (std::size_t i = 0; i < has.size(); ++i) {
      CHECK(has[i].partition == had[i].partition);
      CHECK(has[i].epoch > had[i].epoch);
    }
  }
}

TEST_CASE("epochs start at the seed and grow") {
  const std::uint64_t seed = std::uint64_t{5} << 32;
  auto core = make(SubscriptionType::unique, 1, seed);
  std::uint64_t last = seed - 1;
  for (int i = 0; i < 3; ++i) {
    const auto attachment = attach(core, "alice", 11);
    CHECK(attachment > last);
    CHECK(core.grants(attachment)[0].epoch > last);
    last = core.grants(attachment)[0].epoch;
    core.detach(attachment);
  }
}

TEST_CASE(
    "only what is attached can detach; a lost connection ends what it had, not what left it") {
  auto core = make(SubscriptionType::unique);
  const auto first = attach(core, "alice", 11);
  const auto second = core.attach({"alice", 11, 2})->attach_epoch;
  core.detach(first);
  CHECK(core.attached(second));
  core.connection_lost(11);
  CHECK(core.attached(second));
  core.connection_lost(2);
  CHECK(core.consumers().empty());
  CHECK(core.active(0) == 0);
  attach(core, "bob", 22);
}

TEST_CASE("shared: everybody has everything under one epoch, and nobody notices the others") {
  auto core = make(SubscriptionType::shared, 3);
  const auto a = attach(core, "a", 1);
  const auto b = core.attach({"b", 2, 2});
  REQUIRE(b.has_value());
  CHECK(b->actions.assigned.empty());
  CHECK(core.grants(a) == core.grants(b->attach_epoch));
  CHECK(core.grants(a).size() == 3);
  const auto before = core.grants(a);
  CHECK(core.detach(b->attach_epoch).assigned.empty());
  CHECK(core.grants(a) == before);
  CHECK(core.set_partitions(5).assigned == std::vector{a});
  CHECK(core.grants(a).size() == 5);
}

TEST_CASE("two consumers of one name: the second is refused, or takes over when it says so") {
  for (const auto type : {SubscriptionType::failover, SubscriptionType::shared}) {
    auto core = make(type, 2);
    attach(core, "a", 1);
    const auto refused = core.attach({"a", 2, 2});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::kSubscriptionBusy);
    attach(core, "b", 3);
    const auto taken = core.attach({"a", 2, 2, 0, true});
    REQUIRE(taken.has_value());
    CHECK(taken->actions.ended.size() == 1);
    CHECK(core.consumers().size() == 2);
  }
}

TEST_CASE("failover: a second consumer gets its even share, after a drain and no sooner") {
  auto core = make(SubscriptionType::failover, 5);
  const auto a = attach(core, "a", 1);
  CHECK(partitions_of(core, a).size() == 5);
  const auto b = core.attach({"b", 2, 2});
  REQUIRE(b.has_value());
  CHECK(b->actions.revokes.size() == 2);
  CHECK(b->actions.assigned == std::vector{a});  // it hears what it loses
  CHECK(partitions_of(core, a).size() == 3);
  CHECK(partitions_of(core, b->attach_epoch).empty());
  const auto revoke = b->actions.revokes[0];
  CHECK(core.drained(revoke.partition, revoke.epoch - 1).assigned.empty());  // of another time
  CHECK(core.drained(revoke.partition, revoke.epoch).assigned == std::vector{b->attach_epoch});
  CHECK(core.grants(b->attach_epoch)[0].epoch > revoke.epoch);
  CHECK(core.drained(revoke.partition, revoke.epoch).assigned.empty());  // told twice
  drain(core, b->actions);
  CHECK(partitions_of(core, b->attach_epoch).size() == 2);
}

TEST_CASE("failover: the next one takes over at once when the active one goes") {
  auto core = make(SubscriptionType::failover, 1);
  const auto a = attach(core, "a", 1);
  const auto b = attach(core, "b", 2);
  CHECK(core.active(0) == a);
  CHECK(core.grants(b).empty());
  const auto gone = core.connection_lost(1);
  CHECK(gone.assigned == std::vector{b});
  CHECK(gone.revokes.empty());
  CHECK(core.active(0) == b);
}

TEST_CASE("failover: one that goes while it drains is replaced at once") {
  auto core = make(SubscriptionType::failover, 1);
  const auto a = attach(core, "a", 1);
  const auto b = core.attach({"b", 2, 2, 5});
  REQUIRE(b->actions.revokes.size() == 1);
  CHECK(core.detach(a).assigned == std::vector{b->attach_epoch});
  const auto grants = core.grants(b->attach_epoch);
  REQUIRE(grants.size() == 1);
  // The drain that nobody waits for any more.
  CHECK(drain(core, b->actions).assigned.empty());
  CHECK(core.grants(b->attach_epoch) == grants);
}

TEST_CASE("failover: a higher priority takes everything, and gives it back when it leaves") {
  auto core = make(SubscriptionType::failover, 4);
  const auto a = attach(core, "a", 1);
  drain(core, core.attach({"b", 2, 2})->actions);
  const auto b = core.consumers()[1].attach_epoch;
  CHECK(core.attach({"low", 9, 9, -1})->actions.assigned.empty());
  const auto top = core.attach({"top", 3, 3, 7});
  CHECK(top->actions.revokes.size() == 4);
  CHECK(top->actions.assigned == std::vector{a, b});
  drain(core, top->actions);
  CHECK(partitions_of(core, top->attach_epoch).size() == 4);
  core.detach(top->attach_epoch);
  CHECK(partitions_of(core, a).size() == 2);
  CHECK(partitions_of(core, b).size() == 2);
}

TEST_CASE("failover: what was revoked goes back to its holder under a new epoch, after the drain") {
  auto core = make(SubscriptionType::failover, 1);
  const auto a = attach(core, "a", 1);
  const auto before = core.grants(a);
  const auto top = core.attach({"top", 3, 3, 7});
  CHECK(core.detach(top->attach_epoch).assigned.empty());  // its streams are ending already
  CHECK(core.grants(a).empty());
  CHECK(drain(core, top->actions).assigned == std::vector{a});
  REQUIRE(core.grants(a).size() == 1);
  CHECK(core.grants(a)[0].epoch > before[0].epoch);
}

TEST_CASE("failover: new partitions go to those who have fewest, nothing else moves") {
  auto core = make(SubscriptionType::failover, 2);
  const auto a = attach(core, "a", 1);
  drain(core, core.attach({"b", 2, 2})->actions);
  const auto b = core.consumers()[1].attach_epoch;
  const auto a_had = core.grants(a), b_had = core.grants(b);
  const auto grown = core.set_partitions(4);
  CHECK(grown.revokes.empty());
  CHECK(grown.assigned == std::vector{a, b});
  CHECK(core.grants(a).size() == 2);
  CHECK(core.grants(a)[0] == a_had[0]);
  CHECK(core.grants(b)[0] == b_had[0]);
  CHECK(core.set_partitions(3).assigned.empty());  // never fewer
  CHECK(core.partitions() == 4);
}

}  // namespace
}  // namespace andyx::server
