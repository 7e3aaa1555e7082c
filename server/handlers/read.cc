// Read by offset, and the offset of a start position.
#include <algorithm>

#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/over_mains.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kMaxWaitMs = 60'000;

}  // namespace

void handle(ClientConnection& client, const protocol::Read& body, Reply reply) {
  std::uint64_t deadline_ms =
      body.max_wait_ms() == 0
          ? 0
          : client.loop().net_loop().now_ms() + std::min(body.max_wait_ms(), kMaxWaitMs);
  Partition::ReadRequest request{
      .offset = body.offset(),
      .max_bytes = std::clamp<std::size_t>(body.max_bytes(), 1, limits::kMaxReadBytes),
      .deadline_ms = deadline_ms,
      .epoch = body.main_epoch()};
  with_partition(
      client.loop(), body.topic_id(), body.partition(), std::move(reply),
      [request](Partition& partition, Reply owed) { partition.read(request, std::move(owed)); });
}

// At the partition's main; a client may ask any node.
void handle(ClientConnection& client, const protocol::LookupOffset& body, Reply reply) {
  CoreLoop& here = client.loop();
  const PartitionRecord* record = here.image().find_partition(body.topic_id(), body.partition());
  const bool elsewhere = record != nullptr && record->main != here.node().config.node_id;
  if (elsewhere && record->main != 0 && client.node_id() == 0) {
    const auto fill = [topic = body.topic_id(), index = body.partition(),
                       at = *body.at()](flatbuffers::FlatBufferBuilder& builder) {
      return node_body(protocol::Body::LookupOffset,
                       protocol::CreateLookupOffset(builder, topic, index, &at));
    };
    return pass_on(here, record->main, fill, std::move(reply));
  }
  with_partition(
      here, body.topic_id(), body.partition(), std::move(reply),
      [kind = body.at()->kind(), value = body.at()->value()](Partition& partition, Reply owed) {
        auto answer = [keep = partition.shared_from_this(),
                       reply = std::make_shared<Reply>(std::move(owed))](Result<Offset> offset) {
          if (!offset) return reply->error(offset.error());
          reply->body(
              protocol::Body::LookupOffsetReply, [&](flatbuffers::FlatBufferBuilder& builder) {
                return protocol::CreateLookupOffsetReply(
                    builder, *offset, keep->core().start_offset(), keep->core().committed_offset());
              });
        };
        partition.resolve(kind, value, std::move(answer));
      });
}

}  // namespace andyx::server
