// Attaching a consumer: at the coordinator, then a stream for each partition.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"
#include "server/handlers/subscription_start.h"

namespace andyx::server {
namespace {

struct Attach {
  TopicName topic;
  std::string consumer;
  std::uint64_t session = 0;
  std::uint64_t connection = 0;
};

void send_attached(const Topic& topic, SubscriptionId subscription, std::uint64_t epoch,
                   Reply reply) {
  reply.body(protocol::Body::SubscribeReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<std::uint32_t> partitions;
    for (const PartitionRecord& record : topic.partitions()) partitions.push_back(record.index);
    return protocol::CreateSubscribeReply(builder, topic.id, subscription, epoch,
                                          builder.CreateVector(partitions));
  });
}

// On the connection's loop, when the coordinator has said yes.
void attached(CoreLoop& here, CoreLoop& coordinator, const Topic& topic,
              SubscriptionId subscription, std::uint64_t epoch, Reply reply) {
  auto* client = here.find_connection(reply.connection_id());
  if (client == nullptr) {  // it went while it attached
    coordinator.net_loop().post([&coordinator, subscription, epoch] {
      if (auto* core = coordinator.find_coordinator(subscription)) core->detach(epoch);
    });
    return reply.none();
  }
  client->attachments().push_back({&coordinator, subscription, epoch});
  send_attached(topic, subscription, epoch, std::move(reply));
}

void attach(CoreLoop& here, std::shared_ptr<const SubscriptionRecord> record, Attach request,
            Reply reply) {
  auto topic = here.image().find_topic(request.topic);
  if (!topic)
    return reply.error({ErrorCode::kUnknownTopic, "there is no topic " + request.topic.url()});
  CoreLoop& coordinator = coordinator_loop(here.node(), *topic, record->id);
  coordinator.net_loop().post([&here, &coordinator, topic, record, request = std::move(request),
                               reply = std::move(reply)]() mutable {
    // As this loop knows the topic: it ends those that are attached when it learns otherwise.
    const auto now = coordinator.image().find_topic(topic->id);
    if (auto active = check_active(now ? *now : *topic); !active) {
      return reply.error(active.error());
    }
    auto decided = coordinator.coordinator(*topic, *record)
                       .attach(request.consumer, request.session, request.connection);
    if (!decided) return reply.error(decided.error());
    here.net_loop().post([&here, &coordinator, topic, id = record->id,
                          epoch = decided->attach_epoch, reply = std::move(reply)]() mutable {
      attached(here, coordinator, *topic, id, epoch, std::move(reply));
    });
  });
}

}  // namespace

void handle(ClientConnection& client, const protocol::Subscribe& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  auto spec =
      subscription_spec(body.subscription()->string_view(), body.type(), body.mode(), body.start());
  if (!spec) return reply.error(spec.error());
  Attach request{.topic = topic->name,
                 .consumer = body.consumer() != nullptr && body.consumer()->size() > 0
                                 ? body.consumer()->str()
                                 : client.peer(),
                 .session = body.session(),
                 .connection = client.id()};
  if (auto active = check_active(*topic); !active) return reply.error(active.error());
  if (!topic->subscriptions.find(spec->name)) {
    const std::string missing = "topic " + topic->name.url() + " has no subscription " + spec->name;
    if (!body.create()) return reply.error({ErrorCode::kUnknownSubscription, missing});
    if (!topic->effective.subscription_auto_create) {
      return reply.error({ErrorCode::kCreationNotAllowed,
                          missing + ", and subscription-auto-create is false for it"});
    }
  }
  here.node().controller->ensure_subscription(
      topic->name, std::move(*spec),
      [&here, request = std::move(request),
       reply = std::move(reply)](Result<std::shared_ptr<const SubscriptionRecord>> record) mutable {
        if (!record) return reply.error(record.error());
        TopicName name = request.topic;
        when_started(here, std::move(name), *record,
                     [&here, record = *record, request = std::move(request),
                      reply = std::move(reply)](Status started) mutable {
                       if (!started) return reply.error(started.error());
                       attach(here, std::move(record), std::move(request), std::move(reply));
                     });
      });
}

void handle(ClientConnection& client, const protocol::Unsubscribe& body, Reply reply) {
  auto& attachments = client.attachments();
  auto found =
      std::find_if(attachments.begin(), attachments.end(), [&](const Attachment& attachment) {
        return attachment.subscription == body.subscription_id() &&
               attachment.attach_epoch == body.attach_epoch();
      });
  if (found == attachments.end()) return reply.done();  // idempotent
  Attachment attachment = *found;
  attachments.erase(found);
  client.close_streams(attachment.subscription);
  attachment.coordinator->net_loop().post([attachment, reply = std::move(reply)]() mutable {
    if (auto* core = attachment.coordinator->find_coordinator(attachment.subscription))
      core->detach(attachment.attach_epoch);
    reply.done();
  });
}

}  // namespace andyx::server
