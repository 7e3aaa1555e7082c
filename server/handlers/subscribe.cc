// Attaching a consumer: at the coordinator, then a stream for each partition.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"
#include "server/handlers/subscription_start.h"

namespace andyx::server {
namespace {

// A consumer on its way to the coordinator.
struct Attaching {
  TopicId topic = 0;
  std::shared_ptr<const SubscriptionRecord> subscription;
  AttachRequest request;
  Coordinator::Place place;
};

void send_attached(TopicId topic, SubscriptionId subscription, const Coordinator::Attached& now,
                   Reply reply) {
  reply.body(protocol::Body::SubscribeReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<std::uint32_t> partitions;
    std::vector<std::uint64_t> epochs;
    for (const PartitionGrant& grant : now.grants) {
      partitions.push_back(grant.partition);
      epochs.push_back(grant.epoch);
    }
    return protocol::CreateSubscribeReplyDirect(builder, topic, subscription, now.attach_epoch,
                                                &partitions, &epochs, limits::kConsumerSessionMs);
  });
}

// On the connection's loop, when the coordinator has said yes.
void attached(CoreLoop& here, CoreLoop& coordinator, TopicId topic, SubscriptionId subscription,
              const Coordinator::Attached& now, Reply reply) {
  auto* client = here.find_connection(reply.connection_id());
  if (client == nullptr) {  // it went while it attached
    coordinator.net_loop().post([&coordinator, subscription, epoch = now.attach_epoch] {
      if (auto* found = coordinator.find_coordinator(subscription)) found->detach(epoch);
    });
    return reply.none();
  }
  client->add_attachment({&coordinator, subscription, now.attach_epoch});
  send_attached(topic, subscription, now, std::move(reply));
}

// What the coordinator tells this connection later comes behind this answer: both cross by the
// mailbox of its loop.
void attach(CoreLoop& here, Attaching attaching, Reply reply) {
  const auto topic = here.image().find_topic(attaching.topic);
  if (!topic) return reply.error({ErrorCode::kUnknownTopic, "the topic was deleted"});
  CoreLoop& coordinator = coordinator_loop(here.node(), *topic, *attaching.subscription);
  coordinator.net_loop().post(
      [&here, &coordinator, attaching = std::move(attaching), reply = std::move(reply)]() mutable {
        // As this loop knows the topic: it ends those that are attached when it learns otherwise.
        if (const auto now = coordinator.image().find_topic(attaching.topic)) {
          if (auto active = check_active(*now); !active) return reply.error(active.error());
        }
        auto found = coordinator.coordinator(attaching.topic, *attaching.subscription);
        if (!found) return reply.error(found.error());
        auto now = (*found)->attach(std::move(attaching.request), std::move(attaching.place));
        if (!now) return reply.error(now.error());
        here.net_loop().post([&here, &coordinator, topic = attaching.topic,
                              id = attaching.subscription->id, now = std::move(*now),
                              reply = std::move(reply)]() mutable {
          attached(here, coordinator, topic, id, now, std::move(reply));
        });
      });
}

}  // namespace

void handle(ClientConnection& client, const protocol::Subscribe& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  auto spec = subscription_spec(body.subscription()->string_view(), body.type(), body.mode(),
                                body.start(), body.key_ordered());
  if (!spec) return reply.error(spec.error());
  const bool named = body.consumer() != nullptr && body.consumer()->size() > 0;
  if (named) {
    if (auto good = check_name(body.consumer()->string_view(), "consumer"); !good)
      return reply.error(good.error());
  }
  if (auto active = check_active(*topic); !active) return reply.error(active.error());
  if (!topic->subscriptions.find(spec->name)) {
    const std::string missing = "topic " + topic->name.url() + " has no subscription " + spec->name;
    if (!body.create()) return reply.error({ErrorCode::kUnknownSubscription, missing});
    if (!topic->effective.subscription_auto_create) {
      return reply.error({ErrorCode::kCreationNotAllowed,
                          missing + ", and subscription-auto-create is false for it"});
    }
  }
  Attaching attaching{.topic = topic->id,
                      .subscription = nullptr,
                      .request = {.name = named ? body.consumer()->str() : client.peer(),
                                  .session = body.session(),
                                  .connection = client.id(),
                                  .priority = body.priority(),
                                  .take_over = body.take_over()},
                      .place = {&here, client.id(), client.peer(), net::wall_time_us()}};
  here.node().controller->ensure_subscription(
      topic->name, std::move(*spec),
      [&here, name = topic->name, attaching = std::move(attaching),
       reply = std::move(reply)](Result<std::shared_ptr<const SubscriptionRecord>> record) mutable {
        if (!record) return reply.error(record.error());
        attaching.subscription = *record;
        const Node& node = here.node();
        if (auto ours = check_coordinator(*node.controller->image(), node.config.node_id,
                                          attaching.topic, **record);
            !ours) {
          return reply.error(ours.error());
        }
        when_started(here, std::move(name), *record,
                     [&here, attaching = std::move(attaching),
                      reply = std::move(reply)](Status started) mutable {
                       if (!started) return reply.error(started.error());
                       attach(here, std::move(attaching), std::move(reply));
                     });
      });
}

void handle(ClientConnection& client, const protocol::Unsubscribe& body, Reply reply) {
  const auto attachment = client.remove_attachment(body.subscription_id(), body.attach_epoch());
  if (!attachment) return reply.done();  // idempotent
  attachment->coordinator->net_loop().post(
      [attachment = *attachment, reply = std::move(reply)]() mutable {
        if (auto* found = attachment.coordinator->find_coordinator(attachment.subscription))
          found->detach(attachment.attach_epoch);
        reply.done();
      });
}

}  // namespace andyx::server
