#include <doctest/doctest.h>

#include "data_generated.h"
#include "server/metadata/snapshot.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {
namespace {

TEST_CASE("a snapshot gives back every field of the image") {
  History history = History::with_node();
  REQUIRE(history.create_topic("t", 3).status);
  REQUIRE(history
              .apply(CreateSubscriptionCommand{1, "s", protocol::SubscriptionType::shared,
                                               protocol::SubscriptionMode::nonresilient,
                                               protocol::StartKind::offset, 42, true})
              .status);
  REQUIRE(history.apply(RegisterNodeCommand{1, {1, 1}, 2, "example", 7000}).status);
  const auto restored = decode_snapshot(encode_snapshot(history.image()));
  REQUIRE(restored);
  const Image& image = **restored;
  CHECK(image.hash() == history.image().hash());
  CHECK(image.position == history.image().position);
  CHECK(image.partition_count == 3);
  CHECK(image.subscription_count == 1);
  const auto topic = image.find_topic(topic_name("t"));
  REQUIRE(topic);
  CHECK(topic == image.find_topic(topic->id));
  CHECK(topic->partitions() == history.image().find_topic(topic->id)->partitions());
  CHECK(topic->created_us == history.image().find_topic(topic->id)->created_us);
  const auto subscription = image.find_subscription(topic->id, "s");
  REQUIRE(subscription);
  CHECK(subscription->type == protocol::SubscriptionType::shared);
  CHECK(subscription->mode == protocol::SubscriptionMode::nonresilient);
  CHECK(subscription->start_kind == protocol::StartKind::offset);
  CHECK(subscription->start_value == 42);
  CHECK(subscription->key_ordered);
  CHECK(subscription->coordinator ==
        history.image().find_subscription(topic->id, "s")->coordinator);
  CHECK(subscription->coordinator < 3);
  const auto node = image.find_node(1);
  REQUIRE(node);
  CHECK(node->host == "example");
  CHECK(node->port == 7000);
  CHECK(node->incarnation == 2);
}

TEST_CASE("a snapshot gives back named producers, their epochs, and the fences of deleted ones") {
  History history = History::with_node();
  REQUIRE(history.create_topic("t").status);
  const auto single = protocol::ProducerInstance::single;
  REQUIRE(history.apply(OpenProducerCommand{1, "p", single, 77}).status);
  REQUIRE(history.apply(OpenProducerCommand{1, "gone", single, 5}).status);
  REQUIRE(history.apply(DeleteProducerCommand{1, "gone", {}}).status);
  const auto restored = decode_snapshot(encode_snapshot(history.image()));
  REQUIRE(restored);
  CHECK((*restored)->hash() == history.image().hash());
  const auto topic = (*restored)->find_topic(topic_name("t"));
  REQUIRE(topic);
  CHECK(topic->producers.size() == 1);
  const auto producer = topic->producers.find(std::string_view("p"));
  REQUIRE(producer);
  CHECK(producer->instance == single);
  CHECK(producer->session == 77);
  CHECK(producer->epoch == 256);
  REQUIRE(topic->fences.find(producer->producer_id));
  CHECK(topic->fences.find(producer->producer_id)->epoch == 256);
  CHECK(topic->fences.size() == 2);
}

TEST_CASE("an empty image survives a snapshot") {
  const auto restored = decode_snapshot(encode_snapshot(Image{}));
  REQUIRE(restored);
  CHECK((*restored)->hash() == Image{}.hash());
}

TEST_CASE("a damaged snapshot is refused, or it was only padding that changed") {
  History history = History::with_node();
  for (int i = 0; i < 5; ++i) REQUIRE(history.create_topic("t" + std::to_string(i), 2).status);
  const EntryBytes good = encode_snapshot(history.image());
  std::size_t refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    EntryBytes bad = good;
    bad[i] ^= 0x41;
    const auto restored = decode_snapshot(bad);
    if (restored) {
      CHECK((*restored)->hash() == history.image().hash());
    } else {
      ++refused;
    }
  }
  CHECK(refused > good.size() / 2);
  for (std::size_t size = 0; size < good.size(); size += 7) {
    CHECK_FALSE(decode_snapshot(ByteSpan(good).first(size)));
  }
}

}  // namespace
}  // namespace andyx::server::test
