// What nodes carry is evened out by number and by what was measured; and comes to rest.
#include "server/cluster/balance.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/server/cluster/measured_cluster.h"

namespace andyx::server::test {
namespace {

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

// The partition's id, of topic 1.
PartitionId id(const RunningCore& running, std::uint32_t index, TopicId topic = 1) {
  return running.cluster.at(topic, index).partition_id;
}

// The partitions of topic 1 whose main is there.
std::vector<PartitionId> led_by(const RunningCore& running, NodeId node) {
  std::vector<PartitionId> led;
  for (const PartitionRecord& p :
       running.cluster.image().topics_by_id.find(TopicId{1})->partitions()) {
    if (p.main == node) led.push_back(p.partition_id);
  }
  return led;
}

TEST_CASE("mains that carry much are spread, though their numbers are even") {
  MeasuredCluster running(3);
  REQUIRE(running.cluster.create("t", 30, 3).status);
  running.publish();
  const auto hot = led_by(running, 1);
  REQUIRE(hot.size() == 10);
  for (std::size_t i = 0; i < 6; ++i) running.rates[hot[i]] = 2 * kMiB;
  REQUIRE(running.comes_to_rest(300'000));
  for (NodeId node = 1; node <= 3; ++node) {
    CAPTURE(node);
    CHECK(running.traffic(node) >= 2 * kMiB);
    CHECK(running.traffic(node) <= 6 * kMiB);
    CHECK(running.mains(node) >= 7);
    CHECK(running.mains(node) <= 12);
  }
  CHECK(running.core.evenness().off.empty());
  CHECK(running.refusals.empty());
}

TEST_CASE("nothing of it happens while balancing is paused") {
  MeasuredCluster running(3);
  REQUIRE(running.cluster.create("t", 30, 3).status);
  REQUIRE(running.cluster.apply(PauseBalancingCommand{true}).status);
  running.publish();
  for (const PartitionId partition : led_by(running, 1)) running.rates[partition] = kMiB;
  running.run_measured(60'000);
  CHECK(running.tags.empty());
  // What is off is told all the same.
  CHECK(running.core.evenness().by_traffic);
  CHECK_FALSE(running.core.evenness().by_disk);
  const auto& off = running.core.evenness().off;
  REQUIRE(off.size() == 3);
  CHECK(off[0].node == 1);
  CHECK(off[0].kind == Scores::Kind::kMains);
  CHECK(off[0].score == doctest::Approx(2));
  CHECK(off[0].number == doctest::Approx(1));
  CHECK(off[0].measured == doctest::Approx(3));
  CHECK(off[1].score == doctest::Approx(0.5));
}

TEST_CASE("little traffic counts for nothing, and neither does what not every node has told") {
  MeasuredCluster running(3);
  REQUIRE(running.cluster.create("t", 30, 3).status);
  running.publish();
  const auto on_1 = led_by(running, 1);
  running.rates[on_1[0]] = running.rates[on_1[1]] = kMiB;  // 2/3 MiB/s a node
  CHECK_FALSE(Balance(running.cluster.image(), running.view()).measured());
  running.rates[on_1[2]] = kMiB;
  CHECK(Balance(running.cluster.image(), running.view()).measured());
  ClusterView view = running.view();
  view.loads.erase(2);
  CHECK_FALSE(Balance(running.cluster.image(), view).measured());
  view.ailing = {2};  // and would get nothing anyway
  CHECK(Balance(running.cluster.image(), view).measured());
}

TEST_CASE("a single hot partition stays where it is, its node leads fewer others") {
  MeasuredCluster running(3);
  REQUIRE(running.cluster.create("t", 12, 3).status);
  running.publish();
  running.rates[id(running, 0)] = 60 * kMiB;
  const NodeId main = running.cluster.at(1, 0).main;
  REQUIRE(running.comes_to_rest(600'000));
  CHECK(running.cluster.at(1, 0).main == main);
  CHECK(running.count("main of 1/0") == 0);
  CHECK(running.mains(main) == 1);
  // As loud as before, and as small: everything goes back to where numbers want it.
  running.rates.clear();
  REQUIRE(running.comes_to_rest(300'000));
  for (NodeId node = 1; node <= 3; ++node) CHECK(running.mains(node) >= 3);
}

TEST_CASE("measured loads that waver move nothing to and fro") {
  std::mt19937_64 random(5);
  MeasuredCluster running(4);
  REQUIRE(running.cluster.create("t", 16, 3).status);
  running.publish();
  const auto wavering = [&](std::uint64_t mib) {
    return mib * kMiB * std::uniform_int_distribution<std::uint64_t>(90, 110)(random) / 100;
  };
  std::vector<std::uint64_t> means;
  for (int i = 0; i < 16; ++i) means.push_back(1u << std::uniform_int_distribution<>(0, 5)(random));
  const auto run = [&](int steps) {
    for (int step = 0; step < steps; ++step) {
      for (std::uint32_t i = 0; i < 16; ++i) running.rates[id(running, i)] = wavering(means[i]);
      running.run_measured(3'000);
    }
  };
  run(60);
  const std::size_t before = running.tags.size();
  run(200);
  CHECK(running.tags.size() <= before + 2);
}

TEST_CASE("what has moved is measured in its new place before anything else moves") {
  MeasuredCluster running(3);
  REQUIRE(running.cluster.create("t", 30, 3).status);
  running.publish();
  for (const PartitionId partition : led_by(running, 1)) running.rates[partition] = kMiB;
  for (std::size_t waited = 0; running.tags.empty(); ++waited) {
    REQUIRE(waited < 100);
    running.run_measured(300);
  }
  const std::size_t first = running.tags.size();
  for (const NodeId node : {2u, 3u}) {
    for (const PartitionId partition : led_by(running, node)) running.rates[partition] = 5 * kMiB;
  }
  running.run_measured(14'000);
  CHECK(running.tags.size() == first);
  running.run_measured(3'000);
  CHECK(running.tags.size() > first);
}

TEST_CASE("copies are spread by their bytes, though their numbers are even") {
  MeasuredCluster running(4);
  REQUIRE(running.cluster.create("t", 20, 1).status);
  running.publish();
  for (const PartitionId partition : led_by(running, 1)) running.bytes[partition] = 4 * kGiB;
  REQUIRE(running.comes_to_rest(1'200'000));
  for (NodeId node = 1; node <= 4; ++node) {
    CAPTURE(node);
    CHECK(running.load_of(node).stored_bytes <= 8 * kGiB);
    CHECK(running.copies(node) >= 2);  // fewer where they are large
    CHECK(running.copies(node) <= 6);
  }
  CHECK(running.refusals.empty());
}

TEST_CASE("busy mains without another copy move with their only one, where copies stay even") {
  MeasuredCluster running(2);
  REQUIRE(running.cluster.create("t", 40, 1).status);
  running.publish();
  const auto hot = led_by(running, 1);
  for (std::size_t i = 0; i < 3; ++i) running.rates[hot[i]] = 2 * kMiB;
  REQUIRE(running.comes_to_rest(1'200'000));
  CHECK(running.traffic(1) == 4 * kMiB);
  CHECK(running.traffic(2) == 2 * kMiB);
  CHECK(running.copies(1) == 19);
}

TEST_CASE("a full list says little of the others: they count as their average") {
  MeasuredCluster running(2);
  REQUIRE(running.cluster.create("t", 100, 2).status);
  running.publish();
  for (const PartitionId partition : led_by(running, 1)) running.rates[partition] = 2 * kMiB;
  const Balance balance(running.cluster.image(), running.view());
  double sum = 0;
  for (const PartitionId partition : led_by(running, 1)) sum += balance.mains.share(1, partition);
  CHECK(sum == doctest::Approx(balance.mains.of(1)));
}

// No main on a node that carries clearly too much could make that clearly less elsewhere. Counted
// anew here, from what is true.
void check_even(const MeasuredCluster& running, NodeId nodes) {
  const ClusterView view = running.view();
  const Balance balance(running.cluster.image(), view);
  const auto parts = [&](auto of) {
    double sum = 0;
    for (NodeId node = 1; node <= nodes; ++node) sum += of(node);
    return sum / nodes;
  };
  const double number = parts([&](NodeId node) { return running.mains(node); });
  const double traffic =
      parts([&](NodeId node) { return static_cast<double>(running.traffic(node)); });
  const bool by_traffic = traffic >= static_cast<double>(kMiB);
  const auto score = [&](double mains, double rate) {
    return by_traffic ? (mains / number + rate / traffic) / 2 : mains / number;
  };
  const auto of = [&](NodeId node) {
    return score(running.mains(node), static_cast<double>(running.traffic(node)));
  };
  for (const Topic& topic : running.cluster.image().topics_by_id) {
    for (const PartitionRecord& p : topic.partitions()) {
      if (of(p.main) <= 1.2) continue;
      const auto rate = running.rates.find(p.partition_id);
      const double share =
          score(1, rate == running.rates.end() ? 0 : static_cast<double>(rate->second));
      for (const NodeId to : p.in_sync) {
        CAPTURE(p.partition_id);
        CAPTURE(to);
        if (to != p.main) CHECK(of(to) + share + std::min(0.1, share / 2) >= of(p.main) - 1e-9);
      }
    }
  }
}

TEST_CASE("random clusters come to rest, with nothing left that is worth moving") {
  const std::uint64_t first = std::random_device()() % 1'000'000;
  for (std::uint64_t seed = first; seed < first + 12; ++seed) {
    INFO("seed ", seed);
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint32_t end) {
      return static_cast<std::uint32_t>(random() % end);
    };
    const NodeId nodes = 2 + below(5);
    MeasuredCluster running(nodes);
    const std::uint32_t topics = 1 + below(3);
    for (TopicId topic = 1; topic <= topics; ++topic) {
      const std::uint32_t partitions = 1 + below(20), factor = 1 + below(std::min(nodes, 3u));
      REQUIRE(running.cluster.create("t" + std::to_string(topic), partitions, factor).status);
      for (std::uint32_t index = 0; index < partitions; ++index) {
        const PartitionId partition = id(running, index, topic);
        if (below(2) != 0) running.rates[partition] = (kMiB / 8) << below(9);
        if (below(2) != 0) running.bytes[partition] = (kGiB / 8) << below(6);
      }
    }
    for (NodeId away = 0; away < below(3); ++away) {
      // Mains on one side, as after other nodes were away.
      (void)running.cluster.apply(ElectMainsCommand{1 + below(nodes), {}});
    }
    running.publish();
    REQUIRE(running.comes_to_rest(3'600'000));
    check_even(running, nodes);
    const std::size_t moves = running.tags.size();
    running.run_measured(60'000);
    CHECK(running.tags.size() == moves);
    CHECK(running.refusals.empty());
  }
}

}  // namespace
}  // namespace andyx::server::test
