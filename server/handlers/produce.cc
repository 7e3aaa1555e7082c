// Produce, and opening an anonymous idempotent producer.
#include "frame_generated.h"
#include "protocol/batch/batch_reader.h"
#include "server/handlers/handlers.h"
#include "server/handlers/producer_open.h"
#include "server/handlers/routing.h"

namespace andyx::server {
namespace {

// What the topic's settings and this node refuse.
Status check_settings(CoreLoop& here, TopicId id, ByteSpan batch, const batch::Header& header) {
  const auto topic = here.image().find_topic(id);
  if (topic) {
    if (auto active = check_active(*topic); !active) return active;
  }
  std::uint64_t limit = here.node().config.max_message_bytes;
  if (topic && topic->effective.max_message_bytes != 0) {
    limit = std::min<std::uint64_t>(limit, topic->effective.max_message_bytes);
  }
  if (limit >= limits::kMaxMessageBytes) return {};
  const auto size = batch::largest_message_bytes(batch, header);
  if (size <= limit) return {};
  return fail(ErrorCode::kMessageTooLarge, "a message has " + std::to_string(size) +
                                               " bytes, the limit here is " +
                                               std::to_string(limit));
}

// A time that has passed means at once; one too far ahead would hold space for ever.
Status check_deliver_at(ByteSpan batch, const batch::Header& header) {
  if ((header.flags & batch::kFlagDeliverAt) == 0) return {};
  const TimeUs latest_us =
      net::wall_time_us() + TimeUs{1'000} * static_cast<TimeUs>(limits::kMaxDeliverAheadMs);
  for (std::uint32_t i = 0; i < header.count; ++i) {
    const TimeUs at_us = batch::deliver_at_us(batch, i);
    if (at_us >= 0 && at_us <= latest_us) continue;
    return fail(ErrorCode::kBadArgument,
                "message " + std::to_string(i) + " of the batch is to be delivered at " +
                    std::to_string(at_us) + " us since 1970; it may be at most " +
                    std::to_string(limits::kMaxDeliverAheadMs / (24 * 3600 * 1000)) +
                    " days ahead");
  }
  return {};
}

// A batch that the server itself has made, on another node: a dead letter. Answered with Done when
// it is committed, also when it was stored before.
void produce_internal(CoreLoop& here, const protocol::Produce& body, SharedBytes frame,
                      Reply reply) {
  const auto* bytes = body.batch();
  auto batch = frame.slice(static_cast<std::size_t>(bytes->data() - frame.data()), bytes->size());
  with_partition(here, body.topic_id(), body.partition(), std::move(reply),
                 [batch = std::move(batch)](Partition& partition, Reply owed) mutable {
                   auto answer = std::make_shared<Reply>(std::move(owed));
                   partition.append_internal(std::move(batch), [answer](const Status& stored) {
                     if (!stored) return answer->error(stored.error());
                     answer->done();
                   });
                 });
}

}  // namespace

void handle(ClientConnection& client, const protocol::Produce& body, SharedBytes frame,
            Reply reply) {
  CoreLoop& here = client.loop();
  const auto* bytes = body.batch();
  auto header = batch::verify_batch({bytes->data(), bytes->size()});
  if (!header) {
    reply.error(header.error());
    // A client whose batches lie, or a way that changes bytes: nothing that follows is to be
    // believed.
    if (header.error().code != ErrorCode::kMessageTooLarge) client.close(header.error());
    return;
  }
  if (header->producer_id >= kInternalProducers) {
    if (client.node_id() == 0)
      return reply.error({ErrorCode::kBadBatch, "producer ids from 2^63 on are the server's own"});
    return produce_internal(here, body, std::move(frame), std::move(reply));
  }
  if (auto allowed = check_settings(here, body.topic_id(), {bytes->data(), bytes->size()}, *header);
      !allowed) {
    return reply.error(allowed.error());
  }
  if (auto timely = check_deliver_at({bytes->data(), bytes->size()}, *header); !timely)
    return reply.error(timely.error());
  if (body.acks() > protocol::Acks::MAX)
    return reply.error({ErrorCode::kBadArgument, "acks is none, main or quorum"});
  auto batch = frame.slice(static_cast<std::size_t>(bytes->data() - frame.data()), bytes->size());
  with_partition(here, body.topic_id(), body.partition(), std::move(reply),
                 [header = *header, batch = std::move(batch), epoch = body.main_epoch(),
                  acks = body.acks()](Partition& partition, Reply owed) mutable {
                   partition.produce(header, std::move(batch), epoch, acks, std::move(owed));
                 });
}

void handle(ClientConnection& client, const protocol::ProducerOpen& body, Reply reply) {
  if (body.name() != nullptr && body.name()->size() > 0)
    return open_named_producer(client, body, std::move(reply));
  client.loop().node().controller->reserve_producer_ids(
      1, [reply = std::move(reply)](Result<ProducerId> id) mutable {
        if (!id) return reply.error(id.error());
        reply.body(protocol::Body::ProducerOpenReply, [&](flatbuffers::FlatBufferBuilder& builder) {
          return protocol::CreateProducerOpenReply(builder, *id, 0);
        });
      });
}

}  // namespace andyx::server
