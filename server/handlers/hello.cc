#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/loop/core_loop.h"

namespace andyx::server {
namespace {

constexpr std::uint16_t kProtocolVersion = 1;

std::string text(const flatbuffers::String* string) {
  return string == nullptr ? std::string() : string->str();
}

// A client that asked for it, and every client of a node that holds no partitions; never another
// node, nor what another relay passes on.
bool relays(CoreLoop& loop, const protocol::Hello& body) {
  if (body.node_id() != 0 || !text(body.forwarded_for()).empty()) return false;
  if (body.front_door()) return true;
  const auto self = loop.image().find_node(loop.node().config.node_id);
  return self && (self->roles & kBrokerRole) == 0;
}

}  // namespace

void handle(ClientConnection& client, const protocol::Hello& body, Reply reply) {
  auto& node = client.loop().node();
  auto refuse = [&](Error error) {
    reply.error(error);
    client.close(std::move(error));
  };
  if (body.min_version() > kProtocolVersion || body.max_version() < kProtocolVersion) {
    return refuse({ErrorCode::kUnsupportedVersion,
                   "this server speaks version " + std::to_string(kProtocolVersion) +
                       ", the client " + std::to_string(body.min_version()) + " to " +
                       std::to_string(body.max_version())});
  }
  std::string cluster = client.loop().image().cluster_id.text();
  if (auto pinned = text(body.cluster_id()); !pinned.empty() && pinned != cluster) {
    return refuse({ErrorCode::kWrongCluster,
                   "this is cluster " + cluster + ", the client asks for " + pinned});
  }
  client.hello_done(text(body.client_name()));
  const bool relayed = relays(client.loop(), body);
  if (relayed) client.begin_relay();
  reply.body(protocol::Body::HelloReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    auto version = builder.CreateString(ANDYX_VERSION);
    auto cluster_id = builder.CreateString(cluster);
    return protocol::CreateHelloReply(builder, kProtocolVersion, version, cluster_id,
                                      node.config.node_id, node.incarnation, limits::kMaxFrameBytes,
                                      static_cast<std::uint32_t>(node.config.max_message_bytes),
                                      node.config.idle_timeout_ms, relayed);
  });
}

}  // namespace andyx::server
