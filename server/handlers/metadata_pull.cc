// The metadata log of this node, for nodes that run no Raft peer; and its image, for a backup.
#include <algorithm>

#include "frame_generated.h"
#include "protocol/base/limits.h"
#include "server/handlers/handlers.h"
#include "server/handlers/over_mains.h"
#include "server/handlers/routing.h"
#include "server/metadata/image_backup.h"

namespace andyx::server {
namespace {

// The pulls, or null and an answer.
MetadataPulls* pulls_of(Node& node, Reply& reply) {
  if (node.metadata_pulls == nullptr) {
    reply.error({ErrorCode::kNotController,
                 "node " + std::to_string(node.config.node_id) + " has no metadata log to read"});
  }
  return node.metadata_pulls.get();
}

void send_entries(Reply reply, Position from, const MetadataPulls::Entries& pulled) {
  // A frame with more tables would not pass its verification.
  const std::size_t count = std::min<std::size_t>(pulled.entries.size(), limits::kMaxTablesOfList);
  reply.body(protocol::Body::MetadataPullReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<protocol::MetadataEntry>> entries;
    entries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto bytes = builder.CreateVector(pulled.entries[i].bytes);
      entries.push_back(protocol::CreateMetadataEntry(builder, bytes));
    }
    const auto list = builder.CreateVector(entries);
    return protocol::CreateMetadataPullReply(builder, from, list, pulled.tail,
                                             pulled.snapshot_version);
  });
}

void send_part(Reply reply, const MetadataPulls::Part& part) {
  reply.body(protocol::Body::MetadataSnapshotPart, [&](flatbuffers::FlatBufferBuilder& builder) {
    if (part.bytes == nullptr) return protocol::CreateMetadataSnapshotPart(builder);
    const auto bytes = builder.CreateVector(part.bytes->data() + part.offset, part.size);
    return protocol::CreateMetadataSnapshotPart(builder, part.version, part.offset,
                                                part.bytes->size(), bytes);
  });
}

// On the control loop. Offset 0 takes a backup of the image as it is now.
Result<MetadataPulls::Part> backup_part(Node& node, Position version, std::size_t offset) {
  if (version == 0) {
    const auto image = node.controller->image();
    node.backup =
        std::make_shared<const std::vector<std::uint8_t>>(backup_of(*image, net::wall_time_us()));
    node.backup_version = image->position;
  } else if (node.backup == nullptr || node.backup_version != version ||
             offset >= node.backup->size()) {
    return fail(ErrorCode::kOffsetOutOfRange, "the backup of version " + std::to_string(version) +
                                                  " is not here any more: begin anew");
  }
  const std::size_t size = std::min(limits::kMaxMetadataPartBytes, node.backup->size() - offset);
  MetadataPulls::Part part{node.backup_version, node.backup, offset, size};
  if (offset + size == node.backup->size()) node.backup.reset();
  return part;
}

}  // namespace

void handle(ClientConnection& client, const protocol::MetadataBackup& body, Reply reply) {
  const Position version = body.version();
  const std::size_t offset = version == 0 ? 0 : body.offset();
  CoreLoop& here = client.loop();
  after_image(here, version == 0 ? body.at_least() : 0,
              [&here, version, offset, reply = std::move(reply)](Status known) mutable {
                if (!known) return reply.error(known.error());
                on_control_loop(here, std::move(reply), [version, offset](Node& node, Reply owed) {
                  auto part = backup_part(node, version, offset);
                  if (!part) return owed.error(part.error());
                  send_part(std::move(owed), *part);
                });
              });
}

void handle(ClientConnection& client, const protocol::MetadataPull& body, Reply reply) {
  if (!require_node(client, reply)) return;
  auto work = [from = body.from(), max_bytes = body.max_bytes(), wait_ms = body.max_wait_ms()](
                  Node& node, Reply owed) {
    auto* pulls = pulls_of(node, owed);
    if (pulls == nullptr) return;
    pulls->pull(from, max_bytes, wait_ms,
                [from, owed = std::move(owed)](Result<MetadataPulls::Entries> pulled) mutable {
                  if (!pulled) return owed.error(pulled.error());
                  send_entries(std::move(owed), from, *pulled);
                });
  };
  on_control_loop(client.loop(), std::move(reply), std::move(work));
}

void handle(ClientConnection& client, const protocol::MetadataSnapshotPull& body, Reply reply) {
  if (!require_node(client, reply)) return;
  auto work = [version = body.version(), offset = body.offset(), max_bytes = body.max_bytes()](
                  Node& node, Reply owed) {
    auto* pulls = pulls_of(node, owed);
    if (pulls == nullptr) return;
    pulls->part(version, offset, max_bytes,
                [owed = std::move(owed)](Result<MetadataPulls::Part> part) mutable {
                  if (!part) return owed.error(part.error());
                  send_part(std::move(owed), *part);
                });
  };
  on_control_loop(client.loop(), std::move(reply), std::move(work));
}

}  // namespace andyx::server
