// Backups of the image, and the image that a new group of the metadata begins with.
#include <doctest/doctest.h>

#include "data_generated.h"
#include "server/metadata/image_backup.h"
#include "server/metadata/recovered_image.h"
#include "server/metadata/snapshot.h"
#include "tests/server/cluster_history.h"

namespace andyx::server::test {
namespace {

// Three nodes, a replicated topic with a producer and a subscription, settings.
struct Fixture {
  Cluster cluster{3};

  Fixture() {
    REQUIRE(cluster.create("t", 2, 3).status);
    REQUIRE(cluster.create("alone", 3, 1).status);
    REQUIRE(cluster.history().create_subscription(1, "s").status);
    const auto single = protocol::ProducerInstance::single;
    REQUIRE(cluster.apply(OpenProducerCommand{1, "p", single, 77}).status);
    REQUIRE(cluster.apply(OpenProducerCommand{1, "gone", single, 5}).status);
    REQUIRE(cluster.apply(DeleteProducerCommand{1, "gone", {}}).status);
    REQUIRE(cluster.apply(CreateScopeCommand{"shop", "a tenant"}).status);
    REQUIRE(cluster.propose({1}).status);
  }
  const Image& image() const { return cluster.image(); }
};

TEST_CASE_FIXTURE(Fixture, "a backup gives back the image, and is held against its head") {
  auto bytes = backup_of(image(), 5);
  const auto backup = read_backup(bytes);
  REQUIRE(backup.has_value());
  CHECK(backup->image->hash() == image().hash());
  CHECK(backup->head.version == image().position);
  CHECK(backup->head.created_us == 5);
  BackupHead other = backup->head;
  ++other.version;
  const auto lies = read_backup(encode_backup(other, encode_snapshot(image())));
  REQUIRE_FALSE(lies.has_value());
  CHECK(lies.error().code == ErrorCode::kCorrupt);
  const auto no_image = read_backup(encode_backup(backup->head, std::vector<std::uint8_t>(64)));
  REQUIRE_FALSE(no_image.has_value());
  CHECK(no_image.error().code == ErrorCode::kCorrupt);
}

TEST_CASE_FIXTURE(Fixture, "nothing that the lost metadata may have given out is given out again") {
  const auto recovered = recovered_image(image(), {.group = 9, .alone = {}, .survivor = 0});
  CHECK(recovered->group == 9);
  CHECK(recovered->cluster_id == image().cluster_id);
  CHECK(recovered->position == image().position + kLostPositions);
  CHECK(recovered->chain_hash != image().chain_hash);
  CHECK(recovered->next_topic_id == image().next_topic_id + kLostIds);
  CHECK(recovered->next_partition_id == image().next_partition_id + kLostIds);
  CHECK(recovered->next_subscription_id == image().next_subscription_id + kLostIds);
  CHECK(recovered->next_producer_id == image().next_producer_id + kLostProducerIds);
  for (const Topic& topic : image().topics_by_id) {
    const auto now = recovered->find_topic(topic.id);
    REQUIRE(now != nullptr);
    CHECK(now == recovered->find_topic(topic.name));
    for (std::size_t i = 0; i < topic.partitions().size(); ++i) {
      PartitionRecord expected = topic.partitions()[i];
      expected.main_epoch += kLostEpochs;
      expected.version += kLostEpochs;
      CHECK(now->partitions()[i] == expected);
    }
  }
  const auto before = image().find_topic(1), topic = recovered->find_topic(1);
  CHECK(topic->producers.find("p")->epoch == before->producers.find("p")->epoch + kLostEpochs);
  for (const ProducerFence& fence : before->fences) {
    const auto now = topic->fences.find(fence.producer_id);
    REQUIRE(now != nullptr);
    const bool for_good = fence.epoch == kFencedForGood;
    CHECK(now->epoch == (for_good ? kFencedForGood : fence.epoch + kLostEpochs));
  }
  CHECK(recovered->find_subscription(1, "s") == image().find_subscription(1, "s"));
  CHECK(recovered->scopes.content_hash() == image().scopes.content_hash());
  CHECK(recovered->loads.all() == image().loads.all());
  CHECK(recovered->nodes.content_hash() == image().nodes.content_hash());
  const auto copy = decode_snapshot(encode_snapshot(*recovered));
  REQUIRE(copy.has_value());
  CHECK((*copy)->hash() == recovered->hash());
  CHECK((*copy)->group == 9);
}

TEST_CASE_FIXTURE(Fixture, "a recovered image is known as one of its origin until it goes on") {
  const auto origin = std::make_shared<const Image>(image());
  const auto recovered = recovered_image(*origin, {.group = 9, .alone = {}, .survivor = 0});
  CHECK(is_recovered_from(*recovered, *origin));
  CHECK_FALSE(is_recovered_from(*origin, *origin));
  Image other_group = *recovered;
  other_group.group = 10;
  CHECK_FALSE(is_recovered_from(other_group, *origin));
  Image went_on = *recovered;
  ++went_on.position;
  CHECK_FALSE(is_recovered_from(went_on, *origin));
  REQUIRE(cluster.create("later", 1, 1).status);
  CHECK_FALSE(is_recovered_from(*recovered, image()));
}

TEST_CASE_FIXTURE(Fixture, "a survivor commits alone where it is in sync") {
  REQUIRE(cluster.at(1, 0).min_in_sync == 2);
  REQUIRE(cluster.at(1, 0).in_sync == std::vector<NodeId>{1});
  REQUIRE(cluster.at(1, 1).in_sync.size() == 3);
  const auto of_1 = recovered_image(image(), {.group = 9, .alone = {}, .survivor = 1});
  CHECK(of_1->find_partition(1, 0)->min_in_sync == 1);
  CHECK(of_1->find_partition(1, 1)->min_in_sync == 1);
  const auto of_2 = recovered_image(image(), {.group = 9, .alone = {}, .survivor = 2});
  CHECK(of_2->find_partition(1, 0)->min_in_sync == 2);
  CHECK(of_2->find_partition(1, 1)->min_in_sync == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "a new cluster has the partitions on its one node, and goes on from there") {
  const auto recovered = recovered_image(
      image(), {.group = 9, .alone = RecoveredGroup::Alone{{3, 4}, 8, {1, 8}}, .survivor = 0});
  CHECK(recovered->cluster_id == Uuid{3, 4});
  REQUIRE(recovered->nodes.size() == 1);
  CHECK(recovered->find_node(8)->disk_id == Uuid{1, 8});
  for (const Topic& topic : recovered->topics_by_id) {
    for (const PartitionRecord& partition : topic.partitions()) {
      CHECK(partition.main == 8);
      CHECK(partition.replicas == std::vector<NodeId>{8});
      CHECK(partition.in_sync == std::vector<NodeId>{8});
      CHECK(partition.eligible.empty());
      CHECK(partition.min_in_sync == 1);
    }
  }
  CHECK(recovered->find_topic(1)->replication_factor == 3);
  CHECK(recovered->loads.of(8).mains == 5);
  CHECK(recovered->loads.of(1).copies == 0);
  History history(recovered);
  CHECK(history.apply(RegisterNodeCommand{8, {1, 8}, 2, "localhost", 6540}, {98, 1}).status);
  CHECK(history.apply(CreateTopicCommand{topic_name("new"), 1, 1, {8}}, {98, 2}).status);
  CHECK(history.image().find_topic(topic_name("new"))->id == image().next_topic_id + kLostIds);
}

}  // namespace
}  // namespace andyx::server::test
