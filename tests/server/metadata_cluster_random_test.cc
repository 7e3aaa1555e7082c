// Random commands of a cluster on one image; after each, what has to hold of every partition.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "server/metadata/snapshot.h"
#include "tests/server/cluster_history.h"

namespace andyx::server::test {
namespace {

bool is_subset(const std::vector<NodeId>& inner, const std::vector<NodeId>& outer) {
  return std::ranges::all_of(
      inner, [&](NodeId node) { return std::ranges::find(outer, node) != outer.end(); });
}
bool disjoint(const std::vector<NodeId>& one, const std::vector<NodeId>& other) {
  return std::ranges::none_of(
      one, [&](NodeId node) { return std::ranges::find(other, node) != other.end(); });
}
bool all_differ(const std::vector<NodeId>& nodes) {
  return std::set<NodeId>(nodes.begin(), nodes.end()).size() == nodes.size();
}

void check_partition(const Image& image, const Topic& topic, const PartitionRecord& p) {
  CHECK_FALSE(p.replicas.empty());
  for (const auto* nodes : {&p.replicas, &p.in_sync, &p.eligible, &p.observers}) {
    CHECK(all_differ(*nodes));
    CHECK(is_subset(*nodes, p.replicas));
  }
  CHECK(disjoint(p.in_sync, p.observers));
  CHECK(disjoint(p.eligible, p.in_sync));
  CHECK(p.in_sync.empty() == (p.main == 0));
  if (p.main != 0) CHECK(is_subset({p.main}, p.in_sync));
  for (const NodeId node : p.in_sync) {
    REQUIRE(image.find_node(node));
    CHECK(image.find_node(node)->alive);
  }
  if (!p.eligible.empty()) CHECK(p.in_sync.size() < p.min_in_sync);
  CHECK(p.min_in_sync >= 1);
  CHECK(p.min_in_sync <= topic.wanted_min_in_sync());
  if (p.joining != 0) {
    CHECK(p.joining == p.replicas.back());
    CHECK(disjoint({p.joining}, p.in_sync));
  }
  if (p.moving_from != 0) CHECK(is_subset({p.moving_from}, p.replicas));
}

void check_image(const Image& before, const Image& image) {
  NodeLoads loads;
  for (const Topic& topic : image.topics) {
    loads.changed({}, topic.partitions());
    for (const PartitionRecord& p : topic.partitions()) {
      check_partition(image, topic, p);
      const PartitionRecord* was = before.find_partition(topic.id, p.index);
      if (was == nullptr) continue;
      CHECK(p.main_epoch >= was->main_epoch);
      CHECK(p.version >= was->version);
      if (p != *was) CHECK(p.version > was->version);
      if (p.main != was->main && p.main != 0) CHECK(p.main_epoch > was->main_epoch);
    }
  }
  for (const NodeRecord& node : image.nodes) {
    CHECK(image.loads.of(node.id) == loads.of(node.id));
  }
}

class RandomCluster {
 public:
  explicit RandomCluster(std::uint32_t seed) : random_(seed), cluster_(4) {}

  Outcome step() {
    if (pick(3) == 0) return proposal();
    const TopicId topic = 1 + pick(6);
    const std::uint32_t index = pick(2);
    const NodeId node = 1 + pick(6);
    switch (pick(14)) {
      case 0:
        return cluster_.create("t" + std::to_string(pick(5)), 1 + pick(3), pick(4), pick(3) == 0);
      case 1:
        return cluster_.apply(DeleteTopicCommand{topic});
      case 2:
        return cluster_.wish(
            TopicAlteration{topic_name("t" + std::to_string(pick(5))), pick(4), pick(5)});
      case 3:
        return cluster_.add_node(node, cluster_.incarnation(node) + pick(2), pick(3) != 0);
      case 4:
        return cluster_.lose(node);
      case 5:
      case 6:
        return cluster_.find(node);
      case 7:
        return cluster_.apply(DrainNodeCommand{node, pick(3) == 0});
      case 8:
        return cluster_.apply(RemoveNodeCommand{node});
      case 9:
        return cluster_.apply(ElectMainCommand{topic, index, pick(6), pick(3), pick(4) == 0});
      case 10:
        return cluster_.apply(ElectMainsCommand{node, {1 + pick(6)}});
      default:
        return copies(topic, index);
    }
  }
  Cluster& cluster() { return cluster_; }

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

  Outcome copies(TopicId topic, std::uint32_t index) {
    const PartitionRecord* p = cluster_.image().find_partition(topic, index);
    ChangeReplicasCommand command{topic, index, p == nullptr ? 0 : p->version};
    (pick(2) == 0 ? command.add : pick(2) == 0 ? command.remove : command.demote) = 1 + pick(6);
    if (pick(6) == 0) command.demote = 1 + pick(6);
    if (command.add != 0 && p != nullptr && pick(2) == 0) command.moving_from = p->replicas[0];
    command.observer = pick(5) == 0;
    return cluster_.apply(command);
  }

  // Of some partition's main: some of its copies.
  Outcome proposal() {
    const auto& topics = cluster_.image().topics_by_id;
    if (topics.empty()) return cluster_.apply(ChangeInSyncCommand{1, 0, {}});
    auto topic = topics.begin();
    for (std::uint32_t skip = pick(static_cast<std::uint32_t>(topics.size())); skip > 0; --skip) {
      ++topic;
    }
    const auto& partitions = topic->partitions();
    const auto& p = partitions[pick(static_cast<std::uint32_t>(partitions.size()))];
    std::vector<NodeId> set;
    for (const NodeId node : p.replicas) {
      if (node == p.main || pick(3) != 0) set.push_back(node);
    }
    return cluster_.propose(set, topic->id, p.index);
  }

  std::mt19937 random_;
  Cluster cluster_;
};

TEST_CASE("random commands of a cluster leave every record whole") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  RandomCluster random(seed);
  std::size_t accepted = 0, refused = 0;
  for (int step = 0; step < 6'000; ++step) {
    CAPTURE(step);
    const auto before = random.cluster().shared();
    const Outcome outcome = random.step();
    outcome.status ? ++accepted : ++refused;
    check_image(*before, random.cluster().image());
    if (step % 200 != 0) continue;
    const auto restored = decode_snapshot(encode_snapshot(random.cluster().image()));
    REQUIRE(restored);
    CHECK((*restored)->hash() == random.cluster().image().hash());
    CHECK((*restored)->loads.all().size() <= random.cluster().image().loads.all().size());
  }
  CHECK(accepted > 1'000);
  CHECK(refused > 500);

  History again;
  for (const EntryBytes& entry : random.cluster().history().entries()) again.replay(entry);
  CHECK(again.image().hash() == random.cluster().image().hash());
}

}  // namespace
}  // namespace andyx::server::test
