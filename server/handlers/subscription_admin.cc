// Subscription create, delete, list.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/subscription_describe.h"
#include "server/handlers/subscription_start.h"

namespace andyx::server {

void handle(ClientConnection& client, const protocol::SubscriptionCreate& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  auto spec = subscription_spec(body.name()->string_view(), body.type(), body.mode(), body.start(),
                                body.key_ordered());
  if (!spec) return reply.error(spec.error());
  here.node().controller->create_subscription(
      *name, *spec,
      [&here, name = *name,
       reply = std::move(reply)](Result<std::shared_ptr<const SubscriptionRecord>> record) mutable {
        if (!record) return reply.error(record.error());
        when_started(
            here, name, *record,
            [&here, name, record = *record, reply = std::move(reply)](Status started) mutable {
              if (!started) return reply.error(started.error());
              auto topic = here.image().find_topic(name);
              if (!topic) return reply.error({ErrorCode::kUnknownTopic, "the topic was deleted"});
              describe_subscription(here, std::move(topic), std::move(record), std::move(reply));
            });
      });
}

void handle(ClientConnection& client, const protocol::SubscriptionDelete& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  here.node().controller->delete_subscription(
      *name, body.name()->str(), [&here, reply = std::move(reply)](Status deleted) mutable {
        if (!deleted) return reply.error(deleted.error());
        after_all_loops(here.node(), here, [reply = std::move(reply)]() mutable { reply.done(); });
      });
}

void handle(ClientConnection& client, const protocol::SubscriptionList& body, Reply reply) {
  auto topic = find_topic(client.loop(), body.topic()->string_view(), reply);
  if (!topic) return;
  reply.body(protocol::Body::SubscriptionReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<protocol::SubscriptionInfo>> infos;
    for (const SubscriptionRecord& record : topic->subscriptions)
      infos.push_back(make_subscription_info(builder, *topic, record));
    return protocol::CreateSubscriptionReply(builder, builder.CreateVector(infos));
  });
}

}  // namespace andyx::server
