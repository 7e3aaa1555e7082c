#include <doctest/doctest.h>

#include <set>

#include "server/metadata/partition_replication.h"
#include "server/metadata/snapshot.h"
#include "tests/server/cluster_history.h"

namespace andyx::server::test {
namespace {

using Nodes = std::vector<NodeId>;

ChangeReplicasCommand change(const Cluster& cluster, ChangeReplicasCommand command) {
  command.topic_id = 1;
  command.version = cluster.at().version;
  return command;
}

TEST_CASE("a lost node leaves the sets, another one leads under a new epoch") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3).status);
  REQUIRE(cluster.create("elsewhere", 1, 1).status);
  CHECK(cluster.at().main == 1);
  CHECK(cluster.at().min_in_sync == 2);
  const auto before = cluster.shared();
  REQUIRE(cluster.lose(1).status);
  CHECK_FALSE(cluster.image().find_node(1)->alive);
  CHECK(cluster.at().main == cluster.at().in_sync.front());
  CHECK(cluster.at().in_sync == Nodes{2, 3});
  CHECK(cluster.at().main_epoch == 2);
  CHECK(cluster.at().version == 2);
  CHECK(cluster.at(2).main == 2);
  CHECK(cluster.image().find_topic(TopicId{2}) == before->find_topic(TopicId{2}));
  CHECK(cluster.image().loads.of(1).mains == 0);
  CHECK(cluster.image().loads.of(1).copies == 1);
  // Found again: a copy like any other, which has to catch up.
  REQUIRE(cluster.find(1).status);
  CHECK(cluster.image().find_node(1)->alive);
  CHECK(cluster.at().in_sync == Nodes{2, 3});
  REQUIRE(cluster.join(1).status);
  CHECK(cluster.at().in_sync == Nodes{2, 3, 1});
}

TEST_CASE("a loss reported of an earlier life, or of a stranger, is refused") {
  Cluster cluster(2);
  REQUIRE(cluster.add_node(2, 5).status);
  CHECK(code_of(cluster.apply(NodeLostCommand{2, 1})) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.apply(NodeFoundCommand{2, 1})) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.apply(NodeLostCommand{9, 1})) == ErrorCode::kUnknownNode);
  CHECK(cluster.image().find_node(2)->alive);
}

TEST_CASE("a partition whose last node is lost has no main until it is back") {
  Cluster cluster(1);
  REQUIRE(cluster.create("t", 1, 1).status);
  REQUIRE(cluster.lose(1).status);
  CHECK(cluster.at().main == 0);
  CHECK(cluster.at().eligible == Nodes{1});
  REQUIRE(cluster.find(1).status);
  CHECK(cluster.at().main == 1);
  CHECK(cluster.at().main_epoch == 2);
  // Also when it comes back as another incarnation, or registers once more as the same one.
  REQUIRE(cluster.lose(1).status);
  REQUIRE(cluster.add_node(1, 1).status);
  CHECK(cluster.at().main == 1);
  CHECK(cluster.image().find_node(1)->alive);
  REQUIRE(cluster.lose(1).status);
  REQUIRE(cluster.add_node(1, 2).status);
  CHECK(cluster.at().main == 1);
}

TEST_CASE("a node that lost what was durable leaves every set, but not where it is alone by wish") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3).status);
  REQUIRE(cluster.create("alone", 3, 1).status);
  const NodeId main = cluster.at().main;
  REQUIRE(cluster.add_node(main, 2, false).status);
  CHECK(cluster.at().main != main);
  CHECK(cluster.at().in_sync.size() == 2);
  CHECK(cluster.at().eligible.empty());
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(cluster.at(2, i).main != 0);
    CHECK(cluster.at(2, i).main_epoch == (cluster.at(2, i).main == main ? 2 : 1));
  }
  // Alone in the set of a replicated partition: nobody may say that nothing was lost.
  REQUIRE(cluster.propose({cluster.at().main}).status);
  REQUIRE(cluster.add_node(cluster.at().main, 2, false).status);
  CHECK(cluster.at().in_sync.size() <= 1);
}

TEST_CASE("a node registers with a usable address, roles and incarnation, and its own disk") {
  Cluster cluster(1);
  CHECK(code_of(cluster.add_node(2, 0)) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.add_node(2, 1, true, 0)) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.add_node(2, 1, true, 8)) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.apply(RegisterNodeCommand{1, {1, 2}, 2, "localhost", 1})) ==
        ErrorCode::kNodeConflict);
  REQUIRE(cluster.apply(RegisterNodeCommand{2, {1, 2}, 1, "h", 1, 77, kMetadataRole}).status);
  CHECK(cluster.image().find_node(2)->peer_port == 77);
  CHECK(cluster.image().find_node(2)->roles == kMetadataRole);
  // It is no broker: nothing is placed there, and no copy comes there.
  CHECK(code_of(cluster.apply(CreateTopicCommand{topic_name("t"), 1, 1, {2}})) ==
        ErrorCode::kBadArgument);
  CHECK(code_of(cluster.create("t", 1, 2)) == ErrorCode::kBadArgument);
}

TEST_CASE("a registration of an earlier life that comes late is refused and changes nothing") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 3, 3).status);
  REQUIRE(cluster.add_node(2, 5).status);
  const auto before = cluster.shared();
  const Outcome late = cluster.add_node(2, 4);
  CHECK(code_of(late) == ErrorCode::kNodeConflict);
  CHECK(late.status.error().message.find("incarnation 4 has ended") != std::string::npos);
  CHECK(cluster.image().find_node(2) == before->find_node(2));
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(cluster.at(1, i) == *before->find_partition(1, i));
  // The same once more is a repetition, and a later one a new life.
  CHECK(code_of(cluster.add_node(2, 5)) == ErrorCode::kOk);
  CHECK(code_of(cluster.add_node(2, 6)) == ErrorCode::kOk);
}

TEST_CASE("the in-sync set changes by the main's proposal for this version only") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3).status);
  REQUIRE(cluster.propose({1, 2}).status);
  CHECK(cluster.at().in_sync == Nodes{1, 2});
  CHECK(cluster.at().version == 2);
  CHECK(code_of(cluster.apply(ChangeInSyncCommand{1, 0, {1, 1, 1, {{1, 1}, {2, 1}, {3, 1}}}})) ==
        ErrorCode::kNotMain);
  CHECK(code_of(cluster.propose({1, 2, 4})) == ErrorCode::kNotInSync);
  CHECK(code_of(cluster.apply(ChangeInSyncCommand{9, 0, {}})) == ErrorCode::kUnknownTopic);
  CHECK(code_of(cluster.apply(ChangeInSyncCommand{1, 1, {}})) == ErrorCode::kBadArgument);
  REQUIRE(cluster.propose({1}).status);
  CHECK(cluster.at().eligible == Nodes{2});
}

TEST_CASE("a main is elected from the set; by force also from outside of it") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3).status);
  REQUIRE(cluster.propose({1, 2}).status);
  CHECK(code_of(cluster.apply(ElectMainCommand{1, 0, 3})) == ErrorCode::kNotInSync);
  REQUIRE(cluster.apply(ElectMainCommand{1, 0, 2}).status);
  CHECK(cluster.at().main == 2);
  CHECK(cluster.at().main_epoch == 2);
  const std::uint32_t version = cluster.at().version;
  REQUIRE(cluster.apply(ElectMainCommand{1, 0, 2}).status);
  CHECK(cluster.at().version == version);  // it is already
  CHECK(code_of(cluster.apply(ElectMainCommand{1, 0, 1, 1})) == ErrorCode::kNotMain);
  REQUIRE(cluster.apply(ElectMainCommand{.topic_id = 1, .node = 3, .forced = true}).status);
  CHECK(cluster.at().main == 3);
  CHECK(cluster.at().in_sync == Nodes{3});
  CHECK(code_of(cluster.apply(ElectMainCommand{.topic_id = 1, .node = 9, .forced = true})) ==
        ErrorCode::kBadArgument);
}

TEST_CASE("a main that asks for a new epoch is followed by another member, or by itself") {
  Cluster cluster(2);
  REQUIRE(cluster.create("t", 1, 2).status);
  REQUIRE(cluster.apply(ElectMainCommand{.topic_id = 1, .main_epoch = 1}).status);
  CHECK(cluster.at().main == 2);
  CHECK(cluster.at().main_epoch == 2);
  REQUIRE(cluster.propose({2}).status);
  REQUIRE(cluster.apply(ElectMainCommand{.topic_id = 1, .main_epoch = 2}).status);
  CHECK(cluster.at().main == 2);
  CHECK(cluster.at().main_epoch == 3);
  CHECK(code_of(cluster.apply(ElectMainCommand{.topic_id = 1, .main_epoch = 2})) ==
        ErrorCode::kNotMain);
}

TEST_CASE("the mains of a node spread over those who may lead, where there is one") {
  Cluster cluster(4);
  REQUIRE(cluster.create("t", 12, 3).status);
  REQUIRE(cluster.create("alone", 4, 1).status);
  CHECK(cluster.image().loads.of(1).mains == 4);
  const Outcome moved = cluster.apply(ElectMainsCommand{1, {4}});
  REQUIRE(moved.status);
  CHECK(moved.result == 3);
  CHECK(cluster.image().loads.of(1).mains == 1);  // the one that has no other copy
  CHECK(cluster.image().loads.of(4).mains == 4);
  CHECK(cluster.image().loads.of(2).mains + cluster.image().loads.of(3).mains == 11);
  CHECK(cluster.image().loads.of(2).mains >= 5);
  CHECK(cluster.image().loads.of(3).mains >= 5);
  CHECK(code_of(cluster.apply(ElectMainsCommand{9, {}})) == ErrorCode::kUnknownNode);
}

TEST_CASE("a copy comes outside of the set, joins by proposal, and the one it replaces goes") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 2).status);
  REQUIRE(cluster.apply(change(cluster, {.add = 3, .moving_from = 1})).status);
  CHECK(cluster.at().replicas == Nodes{1, 2, 3});
  CHECK(cluster.at().in_sync == Nodes{1, 2});
  CHECK(cluster.at().joining == 3);
  CHECK(cluster.at().moving_from == 1);
  CHECK(code_of(cluster.apply(change(cluster, {.remove = 1}))) == ErrorCode::kBadArgument);
  REQUIRE(cluster.join(3).status);
  CHECK(cluster.at().joining == 0);
  REQUIRE(cluster.apply(ElectMainCommand{1, 0, 3}).status);
  REQUIRE(cluster.apply(change(cluster, {.remove = 1})).status);
  CHECK(cluster.at().replicas == Nodes{2, 3});
  CHECK(cluster.at().in_sync == Nodes{2, 3});
  CHECK(cluster.at().moving_from == 0);
  CHECK(cluster.image().loads.of(1).copies == 0);
}

TEST_CASE("a change of copies that would lose something, or makes no sense, is refused") {
  Cluster cluster(4);
  REQUIRE(cluster.create("t", 1, 2).status);
  const auto code = [&](ChangeReplicasCommand command) {
    return code_of(cluster.apply(change(cluster, command)));
  };
  CHECK(code({}) == ErrorCode::kBadArgument);
  CHECK(code({.add = 1}) == ErrorCode::kBadArgument);
  CHECK(code({.add = 9}) == ErrorCode::kUnknownNode);
  CHECK(code({.add = 3, .remove = 2}) == ErrorCode::kBadArgument);
  CHECK(code({.add = 3, .moving_from = 4}) == ErrorCode::kBadArgument);
  CHECK(code({.add = 3, .observer = true, .moving_from = 1}) == ErrorCode::kBadArgument);
  CHECK(code({.remove = 3}) == ErrorCode::kBadArgument);
  CHECK(code({.remove = 1}) == ErrorCode::kBadArgument);  // the main
  CHECK(code({.remove = 2, .demote = 2}) == ErrorCode::kBadArgument);
  CHECK(code_of(cluster.apply(ChangeReplicasCommand{.topic_id = 1, .version = 9, .add = 3})) ==
        ErrorCode::kNotMain);
  REQUIRE(cluster.lose(3).status);
  CHECK(code({.add = 3}) == ErrorCode::kBadArgument);
  REQUIRE(cluster.apply(DrainNodeCommand{4, true}).status);
  CHECK(code({.add = 4}) == ErrorCode::kBadArgument);
  REQUIRE(cluster.find(3).status);
  CHECK(code({.add = 3}) == ErrorCode::kOk);
  REQUIRE(cluster.apply(DrainNodeCommand{4, false}).status);
  CHECK(code({.add = 4}) == ErrorCode::kBadArgument);  // one after the other
  REQUIRE(cluster.join(3).status);
  REQUIRE(cluster.wish(TopicAlteration{topic_name("t"), 0, 3}).status);
  CHECK(cluster.at().min_in_sync == 2);
  REQUIRE(cluster.propose({1, 3}).status);
  CHECK(code({.remove = 3}) == ErrorCode::kNotInSync);  // below min-in-sync
  CHECK(code({.demote = 3}) == ErrorCode::kNotInSync);
  CHECK(code({.remove = 2}) == ErrorCode::kOk);
}

TEST_CASE("the last copy that could lead without loss is not removed") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 2).status);
  REQUIRE(cluster.propose({1}).status);
  REQUIRE(cluster.lose(1).status);
  CHECK(cluster.at().main == 0);
  CHECK(code_of(cluster.apply(change(cluster, {.remove = 1}))) == ErrorCode::kNotInSync);
  CHECK(code_of(cluster.apply(change(cluster, {.remove = 2}))) == ErrorCode::kOk);
}

TEST_CASE("min-in-sync follows the replication factor, upwards when the set is large enough") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 1).status);
  REQUIRE(cluster.wish(TopicAlteration{topic_name("t"), 0, 3}).status);
  CHECK(cluster.image().find_topic(TopicId{1})->replication_factor == 3);
  CHECK(cluster.at().min_in_sync == 1);
  REQUIRE(cluster.apply(change(cluster, {.add = 2})).status);
  CHECK(cluster.at().min_in_sync == 1);
  REQUIRE(cluster.join(2).status);
  CHECK(cluster.at().min_in_sync == 2);
  REQUIRE(cluster.propose({1}).status);
  CHECK(cluster.at().eligible == Nodes{2});
  // Down at once; from here on commits go on without those that were eligible.
  REQUIRE(cluster.wish(TopicAlteration{topic_name("t"), 2, 1}).status);
  CHECK(cluster.at().min_in_sync == 1);
  CHECK(cluster.at().eligible.empty());
  CHECK(cluster.at(1, 1).replicas.size() == 1);
  CHECK(code_of(cluster.wish(TopicAlteration{topic_name("t"), 0, 4})) == ErrorCode::kBadArgument);
}

TEST_CASE("an async topic waits for its main alone") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3, true).status);
  CHECK(cluster.at().in_sync == Nodes{1});
  CHECK(cluster.at().observers.size() == 2);
  CHECK(cluster.at().min_in_sync == 1);
  CHECK(code_of(cluster.join(2)) == ErrorCode::kNotInSync);
  CHECK(code_of(cluster.apply(ElectMainCommand{1, 0, 2})) == ErrorCode::kNotInSync);
  REQUIRE(cluster.lose(1).status);
  CHECK(cluster.at().main == 0);
  REQUIRE(cluster.apply(ElectMainCommand{.topic_id = 1, .node = 2, .forced = true}).status);
  CHECK(cluster.at().main == 2);
  CHECK(cluster.at().observers == Nodes{3});
  CHECK(code_of(cluster.apply(change(cluster, {.demote = 1}))) == ErrorCode::kOk);
  CHECK(cluster.at().observers == Nodes{1, 3});
}

TEST_CASE("a node that holds nothing more is removed; one that does is not") {
  Cluster cluster(2);
  REQUIRE(cluster.create("t", 2, 1).status);
  CHECK(code_of(cluster.apply(RemoveNodeCommand{2})) == ErrorCode::kNotEmpty);
  CHECK(cluster.apply(RemoveNodeCommand{2}).status.error().message.find("1 partition") !=
        std::string::npos);
  REQUIRE(cluster.apply(DeleteTopicCommand{1}).status);
  REQUIRE(cluster.apply(RemoveNodeCommand{2}).status);
  CHECK_FALSE(cluster.image().find_node(2));
  CHECK(code_of(cluster.apply(RemoveNodeCommand{2})) == ErrorCode::kUnknownNode);
  CHECK(code_of(cluster.apply(DrainNodeCommand{2, true})) == ErrorCode::kUnknownNode);
  CHECK(code_of(cluster.apply(RemoveNodeCommand{1})) == ErrorCode::kBadArgument);  // the last one
  CHECK(cluster.image().find_node(1));
}

TEST_CASE("each new field of the records counts in the hash, and comes through a snapshot") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 2, 3).status);
  const Image& base = cluster.image();
  std::set<std::uint64_t> hashes{base.hash()};
  const auto check = [&](const Image& image) {
    CHECK(hashes.insert(image.hash()).second);
    const auto restored = decode_snapshot(encode_snapshot(image));
    REQUIRE(restored);
    CHECK((*restored)->hash() == image.hash());
    CHECK((*restored)->loads.all() == image.loads.all());
  };
  const auto with_partition = [&](auto edit) {
    Image image = base;
    Topic topic = *base.find_topic(TopicId{1});
    auto partitions = topic.partitions().records();
    edit(partitions[1]);
    topic.set_partitions(partitions);
    const auto shared = std::make_shared<const Topic>(topic);
    image.topics.put(shared);
    image.topics_by_id.put(shared);
    check(image);
    CHECK((*decode_snapshot(encode_snapshot(image)))
              ->find_topic(TopicId{1})
              ->partitions()
              .records() == partitions);
  };
  with_partition([](PartitionRecord& p) { p.eligible = {2}; });
  with_partition([](PartitionRecord& p) { p.observers = {2}; });
  with_partition([](PartitionRecord& p) { p.min_in_sync = 3; });
  with_partition([](PartitionRecord& p) { p.joining = 2; });
  with_partition([](PartitionRecord& p) { p.moving_from = 2; });
  const auto with_topic = [&](auto edit) {
    Image image = base;
    Topic topic = *base.find_topic(TopicId{1});
    edit(topic);
    const auto shared = std::make_shared<const Topic>(topic);
    image.topics.put(shared);
    image.topics_by_id.put(shared);
    check(image);
  };
  with_topic([](Topic& t) { t.replication_factor = 5; });
  with_topic([](Topic& t) { t.async = true; });
  const auto with_node = [&](auto edit) {
    Image image = base;
    auto node = std::make_shared<NodeRecord>(*base.find_node(2));
    edit(*node);
    image.nodes.put(node);
    check(image);
  };
  with_node([](NodeRecord& n) { n.peer_port = 2; });
  with_node([](NodeRecord& n) { n.roles = kBrokerRole; });
  with_node([](NodeRecord& n) { n.alive = false; });
  with_node([](NodeRecord& n) { n.draining = true; });
  Image paused = base;
  paused.balancing_paused = true;
  check(paused);
}

TEST_CASE("a record goes to the rules and back without a change") {
  Cluster cluster(3);
  REQUIRE(cluster.create("t", 1, 3, true).status);
  REQUIRE(cluster.lose(3).status);
  const PartitionRecord& before = cluster.at();
  const ReplicationRecord record = replication_record(cluster.image(), before);
  CHECK(record.find(2)->observer);
  CHECK(record.find(2)->alive);
  CHECK_FALSE(record.find(3)->alive);
  CHECK(record.find(1)->incarnation == 1);
  PartitionRecord after = before;
  store_record(record, after);
  CHECK(after == before);
}

}  // namespace
}  // namespace andyx::server::test
