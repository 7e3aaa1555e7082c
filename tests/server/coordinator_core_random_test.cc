// Random events against what a client and a partition would believe: grants never overlap, only
// what has to move moves, and once everything is drained the shares are even.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "common_generated.h"
#include "server/subscription/coordinator_core.h"

namespace andyx::server {
namespace {

using protocol::SubscriptionType;

constexpr int kSeeds = 60, kSteps = 2'000;

struct World {
  explicit World(std::uint64_t seed, SubscriptionType of)
      : random(seed), type(of), core("s", type, partitions, first_epoch) {}

  std::uint64_t pick(std::uint64_t below) { return random() % below; }

  struct Consumer {
    std::uint64_t session, connection;
    std::string name;
    std::int32_t priority;
    std::map<std::uint32_t, std::uint64_t> has;  // what it was told: partition -> epoch
  };

  std::mt19937_64 random;
  std::uint32_t partitions = 7;
  std::uint64_t first_epoch = 1'000;
  SubscriptionType type;
  CoordinatorCore core;
  std::map<std::uint64_t, Consumer> consumers;      // by attach epoch
  std::map<std::uint32_t, std::uint64_t> draining;  // partition -> epoch that was revoked
  std::map<std::uint32_t, std::uint64_t> newest;    // partition -> newest epoch granted

  std::map<std::uint32_t, std::uint64_t> told(std::uint64_t attachment) const {
    std::map<std::uint32_t, std::uint64_t> has;
    for (const PartitionGrant& grant : core.grants(attachment)) has[grant.partition] = grant.epoch;
    return has;
  }

  void tell(std::uint64_t attachment) {
    auto& consumer = consumers.at(attachment);
    auto now = told(attachment);
    for (const auto& [partition, epoch] : now) {
      const auto had = consumer.has.find(partition);
      if (had != consumer.has.end() && had->second == epoch) continue;
      if (type == SubscriptionType::shared) {
        CHECK(epoch == first_epoch);
        continue;
      }
      CHECK_FALSE(draining.contains(partition));  // nobody gets it before it is drained
      CHECK(epoch > newest[partition]);           // so that older streams end
      newest[partition] = epoch;
    }
    consumer.has = std::move(now);
  }

  // Somebody left: what it held does not drain any more.
  void forget_drains_of_the_gone() {
    std::erase_if(draining, [&](const auto& entry) {
      return !consumers.contains(core.active(entry.first)) || newest[entry.first] != entry.second ||
             told_has(entry.first);
    });
  }
  bool told_has(std::uint32_t partition) const {
    return std::ranges::any_of(core.consumers(), [&](const AttachedConsumer& consumer) {
      return told(consumer.attach_epoch).contains(partition);
    });
  }

  void run(const CoordinatorCore::Actions& actions, bool someone_left) {
    for (const auto& ended : actions.ended) consumers.erase(ended.consumer.attach_epoch);
    if (someone_left || !actions.ended.empty()) forget_drains_of_the_gone();
    for (const auto& revoke : actions.revokes) {
      CHECK(draining.emplace(revoke.partition, revoke.epoch).second);
      CHECK(newest[revoke.partition] == revoke.epoch);
    }
    for (const std::uint64_t attachment : actions.assigned) {
      CHECK(told(attachment) != consumers.at(attachment).has);  // told only what is news
      tell(attachment);
    }
  }

  void attach() {
    AttachRequest request{.name = "c" + std::to_string(pick(6)),
                          .session = 1 + pick(8),
                          .connection = 1 + pick(5),
                          .priority = static_cast<std::int32_t>(pick(3)),
                          .take_over = pick(4) == 0};
    const bool busy = std::ranges::any_of(consumers, [&](const auto& entry) {
      const Consumer& other = entry.second;
      return other.session != request.session &&
             (type == SubscriptionType::unique || other.name == request.name);
    });
    auto attached = core.attach(request);
    CHECK(attached.has_value() == (request.take_over || !busy));
    if (!attached) {
      CHECK(attached.error().code == ErrorCode::kSubscriptionBusy);
      return;
    }
    run(attached->actions, false);
    consumers[attached->attach_epoch] = {
        request.session, request.connection, request.name, request.priority, {}};
    forget_drains_of_the_gone();
    tell(attached->attach_epoch);
  }

  void leave() {
    if (consumers.empty()) return;
    auto it = consumers.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(pick(consumers.size())));
    if (pick(2) == 0) {
      const auto attachment = it->first;
      consumers.erase(it);
      run(core.detach(attachment), true);
    } else {
      const auto connection = it->second.connection;
      std::erase_if(consumers,
                    [&](const auto& entry) { return entry.second.connection == connection; });
      run(core.connection_lost(connection), true);
    }
  }

  void drain_one() {
    if (draining.empty()) return;
    auto it = draining.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(pick(draining.size())));
    const auto [partition, epoch] = *it;
    CHECK(core.drained(partition, epoch + 1 + pick(9)).assigned.empty());
    draining.erase(it);
    run(core.drained(partition, epoch), false);
  }

  void check() {
    CHECK(core.consumers().size() == consumers.size());
    std::map<std::uint32_t, int> holders;
    for (const auto& [attachment, consumer] : consumers) {
      CHECK(told(attachment) == consumer.has);  // everybody has been told what there is to know
      for (const auto& [partition, epoch] : consumer.has) ++holders[partition];
    }
    if (consumers.empty()) return;
    for (std::uint32_t partition = 0; partition < partitions; ++partition) {
      if (type == SubscriptionType::shared) {
        CHECK(holders[partition] == static_cast<int>(consumers.size()));
      } else {
        CHECK(holders[partition] == (draining.contains(partition) ? 0 : 1));
      }
    }
    if (type != SubscriptionType::shared && draining.empty()) check_shares();
  }

  void check_shares() {
    std::int32_t highest = consumers.begin()->second.priority;
    for (const auto& [attachment, consumer] : consumers)
      highest = std::max(highest, consumer.priority);
    std::size_t least = partitions, most = 0;
    for (const auto& [attachment, consumer] : consumers) {
      if (consumer.priority < highest) {
        CHECK(consumer.has.empty());
        continue;
      }
      least = std::min(least, consumer.has.size());
      most = std::max(most, consumer.has.size());
    }
    CHECK(most - least <= 1);
  }
};

}  // namespace

TEST_CASE("coordinator: random events keep every promise about who has what") {
  const std::uint64_t base = std::random_device{}();
  MESSAGE("seed base ", base);
  for (std::uint64_t seed = base; seed < base + kSeeds; ++seed) {
    for (const auto type :
         {SubscriptionType::unique, SubscriptionType::failover, SubscriptionType::shared}) {
      CAPTURE(seed);
      CAPTURE(static_cast<int>(type));
      World world(seed, type);
      for (int step = 0; step < kSteps; ++step) {
        CAPTURE(step);
        const auto event = world.pick(20);
        if (event < 6) {
          world.attach();
        } else if (event < 10) {
          world.leave();
        } else if (event < 19) {
          world.drain_one();
        } else if (world.partitions < 40) {
          world.partitions += static_cast<std::uint32_t>(world.pick(3));
          world.run(world.core.set_partitions(world.partitions), false);
        }
        world.check();
      }
    }
  }
}

TEST_CASE("coordinator: joining and leaving moves no more partitions than even shares ask for") {
  const std::uint64_t seed = std::random_device{}();
  MESSAGE("seed ", seed);
  std::mt19937_64 random(seed);
  CoordinatorCore core("s", SubscriptionType::failover, 60, 1);
  std::uint64_t session = 1;
  const auto owners = [&] {
    std::map<std::uint32_t, std::uint64_t> by_partition;
    for (const AttachedConsumer& consumer : core.consumers()) {
      for (const auto& grant : core.grants(consumer.attach_epoch))
        by_partition[grant.partition] = consumer.attach_epoch;
    }
    return by_partition;
  };
  for (int step = 0; step < 500; ++step) {
    const auto before = owners();
    const auto consumers = core.consumers();
    std::size_t allowed = 60;
    if (consumers.size() < 12 && (consumers.empty() || random() % 2 == 0)) {
      const auto attached = core.attach({"c" + std::to_string(session), session, session});
      ++session;
      for (const auto& revoke : attached->actions.revokes)
        core.drained(revoke.partition, revoke.epoch);
      if (!consumers.empty()) allowed = 60 / (consumers.size() + 1);
    } else {
      const auto leaving = consumers[random() % consumers.size()].attach_epoch;
      allowed = core.grants(leaving).size();
      CHECK(core.detach(leaving).revokes.empty());  // the others never stop
    }
    const auto after = owners();
    std::size_t moved = 0;
    for (const auto& [partition, owner] : after) {
      const auto was = before.find(partition);
      moved += was == before.end() || was->second != owner;
    }
    CHECK(moved <= allowed);
  }
}

}  // namespace andyx::server
