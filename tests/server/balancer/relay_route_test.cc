#include "server/balancer/relay_route.h"

#include <doctest/doctest.h>

#include "protocol/frame/frame_verify.h"
#include "protocol/frame/frame_writer.h"

namespace andyx::server::test {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
using Kind = RelayRoute::Kind;
using protocol::Body;

constexpr const char* kTopic = "t/p/c/orders";

// Three nodes; a topic whose partitions 0, 1, 2 are led by nodes 2, 3 and nobody, with a
// subscription that partition 1 coordinates.
Image an_image() {
  Image image;
  for (NodeId id = 1; id <= 3; ++id) {
    NodeRecord node;
    node.id = id;
    node.host = "127.0.0.1";
    node.port = static_cast<std::uint16_t>(7000 + id);
    image.nodes.put(std::make_shared<const NodeRecord>(node));
  }
  Topic topic;
  topic.id = 7;
  topic.name = *TopicName::parse(kTopic);
  std::vector<PartitionRecord> partitions(3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    partitions[i].partition_id = 10 + i;
    partitions[i].index = i;
  }
  partitions[0].main = 2;
  partitions[1].main = 3;
  topic.set_partitions(std::move(partitions));
  SubscriptionRecord subscription;
  subscription.id = 5;
  subscription.name = "billing";
  subscription.coordinator = 1;
  topic.subscriptions.put(std::make_shared<const SubscriptionRecord>(subscription));
  const auto shared = std::make_shared<const Topic>(std::move(topic));
  image.topics.put(shared);
  image.topics_by_id.put(shared);
  return image;
}

// The route of a frame with this body.
template <typename Fill>
RelayRoute route_of(Body type, Fill fill) {
  frame::FrameWriter writer;
  const auto frame = writer.write(1, [&](Builder& builder) {
    return frame::Body{static_cast<std::uint8_t>(type), fill(builder).Union()};
  });
  const auto verified = frame::verify_frame(frame.head.span());
  REQUIRE(verified.has_value());
  return relay_route(an_image(), **verified);
}

RelayRoute stream_open(std::uint32_t partition) {
  return route_of(Body::StreamOpen, [&](Builder& builder) {
    return protocol::CreateStreamOpen(builder, 7, partition, 5, 1, 99);
  });
}

TEST_CASE("what is for a partition goes to its main") {
  const auto read = [](std::uint32_t topic, std::uint32_t partition) {
    return route_of(Body::Read, [&](Builder& builder) {
      return protocol::CreateRead(builder, topic, partition);
    });
  };
  CHECK(read(7, 0).kind == Kind::kNode);
  CHECK(read(7, 0).node == 2);
  CHECK(read(7, 1).node == 3);
  CHECK(read(7, 2).kind == Kind::kNode);
  CHECK(read(7, 2).node == 0);           // nobody leads it now
  CHECK(read(7, 3).kind == Kind::kAny);  // a broker refuses it in its own words
  CHECK(read(8, 0).kind == Kind::kAny);
  const auto produce = route_of(Body::Produce, [](Builder& builder) {
    const std::vector<std::uint8_t> batch{1, 2, 3};
    const auto bytes = builder.CreateVector(batch);
    return protocol::CreateProduce(builder, 7, 1, 0, protocol::Acks::main, bytes);
  });
  CHECK(produce.node == 3);
  const auto lookup = route_of(Body::LookupOffset, [](Builder& builder) {
    const protocol::Start start(protocol::StartKind::latest, 0);
    return protocol::CreateLookupOffset(builder, 7, 0, &start);
  });
  CHECK(lookup.node == 2);
}

TEST_CASE("frames of a stream follow where it was opened") {
  const auto opened = stream_open(1);
  CHECK(opened.kind == Kind::kNode);
  CHECK(opened.node == 3);
  CHECK(opened.stream == 99);
  CHECK(opened.opens_stream);
  const auto credit = route_of(
      Body::Credit, [](Builder& builder) { return protocol::CreateCredit(builder, 99, 1, 1); });
  CHECK(credit.kind == Kind::kStream);
  CHECK(credit.stream == 99);
  CHECK_FALSE(credit.closes_stream);
  const auto closed = route_of(
      Body::StreamClose, [](Builder& builder) { return protocol::CreateStreamClose(builder, 99); });
  CHECK(closed.kind == Kind::kStream);
  CHECK(closed.closes_stream);
}

TEST_CASE("attaching goes to the coordinator, or to any broker before there is one") {
  const auto subscribe = [](const char* topic, const char* subscription) {
    return route_of(Body::Subscribe, [&](Builder& builder) {
      return protocol::CreateSubscribe(builder, builder.CreateString(topic),
                                       builder.CreateString(subscription));
    });
  };
  CHECK(subscribe(kTopic, "billing").node == 3);
  CHECK(subscribe(kTopic, "new").kind == Kind::kAny);
  CHECK(subscribe("t/p/c/none", "billing").kind == Kind::kAny);
  CHECK(subscribe("no topic at all", "billing").kind == Kind::kAny);
  const auto unsubscribe = [](std::uint32_t id) {
    return route_of(Body::Unsubscribe, [&](Builder& builder) {
      return protocol::CreateUnsubscribe(builder, 7, id, 1);
    });
  };
  CHECK(unsubscribe(5).node == 3);
  CHECK(unsubscribe(6).kind == Kind::kAny);
}

TEST_CASE("a named producer goes where its place is, an anonymous one anywhere") {
  const auto open = [](const char* name) {
    return route_of(Body::ProducerOpen, [&](Builder& builder) {
      return protocol::CreateProducerOpen(builder, builder.CreateString(name),
                                          builder.CreateString(kTopic));
    });
  };
  CHECK(open("till-1").node == 2);
  CHECK(open("").kind == Kind::kAny);
}

TEST_CASE("signs of life go to every node, administration to any, a second hello nowhere") {
  CHECK(route_of(Body::Ping, [](Builder& builder) { return protocol::CreatePing(builder); }).kind ==
        Kind::kAll);
  CHECK(route_of(Body::TopicList, [](Builder& builder) {
          return protocol::CreateTopicList(builder);
        }).kind == Kind::kAny);
  CHECK(route_of(Body::Hello, [](Builder& builder) {
          return protocol::CreateHello(builder);
        }).kind == Kind::kRefused);
}

TEST_CASE("any broker is this node where it is one, and never a dead one") {
  Image image = an_image();
  CHECK(relay_broker(image, 2, 0) == 2);
  CHECK(relay_broker(image, 9, 0) == 1);
  CHECK(relay_broker(image, 9, 4) == 2);
  for (NodeId id = 1; id <= 3; ++id) {
    NodeRecord node = *image.find_node(id);
    node.alive = id == 3;
    if (id == 2) node.roles = kMetadataRole;
    image.nodes.put(std::make_shared<const NodeRecord>(node));
  }
  for (std::uint64_t choice = 0; choice < 5; ++choice) CHECK(relay_broker(image, 1, choice) == 3);
  CHECK(relay_broker(Image{}, 1, 0) == 0);
}

}  // namespace
}  // namespace andyx::server::test
