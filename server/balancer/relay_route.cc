#include "server/balancer/relay_route.h"

#include <vector>

namespace andyx::server {
namespace {

using Kind = RelayRoute::Kind;

RelayRoute to_main(const Image& image, TopicId topic, std::uint32_t partition) {
  const PartitionRecord* record = image.find_partition(topic, partition);
  // What the image does not know, a broker refuses in its own words.
  if (record == nullptr) return {.kind = Kind::kAny};
  return {.kind = Kind::kNode, .node = record->main};
}

RelayRoute to_coordinator(const Image& image, const Topic* topic,
                          const SubscriptionRecord* subscription) {
  if (topic == nullptr || subscription == nullptr) return {.kind = Kind::kAny};
  return to_main(image, topic->id, subscription->coordinator);
}

std::shared_ptr<const Topic> topic_named(const Image& image, const flatbuffers::String* name) {
  if (name == nullptr) return nullptr;
  const auto parsed = TopicName::parse(name->string_view());
  return parsed ? image.find_topic(*parsed) : nullptr;
}

RelayRoute of_subscribe(const Image& image, const protocol::Subscribe& body) {
  const auto topic = topic_named(image, body.topic());
  if (!topic) return {.kind = Kind::kAny};
  const auto record = topic->subscriptions.find(body.subscription()->string_view());
  return to_coordinator(image, topic.get(), record.get());
}

RelayRoute of_unsubscribe(const Image& image, const protocol::Unsubscribe& body) {
  const auto topic = image.find_topic(body.topic_id());
  if (!topic) return {.kind = Kind::kAny};
  for (const SubscriptionRecord& record : topic->subscriptions) {
    if (record.id == body.subscription_id()) return to_coordinator(image, topic.get(), &record);
  }
  return {.kind = Kind::kAny};
}

// Named producers have their place at the main of their topic's first partition.
RelayRoute of_producer_open(const Image& image, const protocol::ProducerOpen& body) {
  if (body.name() == nullptr || body.name()->size() == 0) return {.kind = Kind::kAny};
  const auto topic = topic_named(image, body.topic());
  return topic ? to_main(image, topic->id, 0) : RelayRoute{.kind = Kind::kAny};
}

RelayRoute of_stream(std::uint32_t stream, bool closes = false) {
  return {.kind = Kind::kStream, .stream = stream, .closes_stream = closes};
}

}  // namespace

RelayRoute relay_route(const Image& image, const protocol::Frame& root) {
  using protocol::Body;
  switch (root.body_type()) {
    case Body::Produce: {
      const auto& body = *root.body_as_Produce();
      return to_main(image, body.topic_id(), body.partition());
    }
    case Body::Read: {
      const auto& body = *root.body_as_Read();
      return to_main(image, body.topic_id(), body.partition());
    }
    case Body::LookupOffset: {
      const auto& body = *root.body_as_LookupOffset();
      return to_main(image, body.topic_id(), body.partition());
    }
    case Body::StreamOpen: {
      const auto& body = *root.body_as_StreamOpen();
      auto route = to_main(image, body.topic_id(), body.partition());
      route.stream = body.stream();
      route.opens_stream = true;
      return route;
    }
    case Body::StreamClose:
      return of_stream(root.body_as_StreamClose()->stream(), true);
    case Body::Credit:
      return of_stream(root.body_as_Credit()->stream());
    case Body::Answer:
      return of_stream(root.body_as_Answer()->stream());
    case Body::Subscribe:
      return of_subscribe(image, *root.body_as_Subscribe());
    case Body::Unsubscribe:
      return of_unsubscribe(image, *root.body_as_Unsubscribe());
    case Body::ProducerOpen:
      return of_producer_open(image, *root.body_as_ProducerOpen());
    case Body::Ping:
    // Only the node that gave the place knows the producer; the others answer Done as well.
    case Body::ProducerClose:
      return {.kind = Kind::kAll};
    case Body::Hello:
      return {.kind = Kind::kRefused};
    default:
      return {.kind = Kind::kAny};
  }
}

NodeId relay_broker(const Image& image, NodeId self, std::uint64_t choice) {
  std::vector<NodeId> brokers;
  for (const NodeRecord& node : image.nodes) {
    if (!node.alive || (node.roles & kBrokerRole) == 0) continue;
    if (node.id == self) return self;
    brokers.push_back(node.id);
  }
  return brokers.empty() ? 0 : brokers[choice % brokers.size()];
}

}  // namespace andyx::server
