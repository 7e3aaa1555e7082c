#include <algorithm>

#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/loop/core_loop.h"

namespace andyx::server {
namespace {

constexpr std::uint16_t kProtocolVersion = 1;

std::string text(const flatbuffers::String* string) {
  return string == nullptr ? std::string() : string->str();
}

// A node that speaks here is the one that the image knows under its id, or one that is new. (A node
// of the same id with another disk is found out when it joins.)
Status check_node(const CoreLoop& here, NodeId self, std::uint64_t own_incarnation,
                  const protocol::Hello& body) {
  const std::string who = "node " + std::to_string(body.node_id());
  if (body.node_id() == self && body.incarnation() != own_incarnation) {
    return fail(ErrorCode::kNodeConflict,
                "this is " + who + " itself: two servers were given the same node id");
  }
  const auto known = here.image().find_node(body.node_id());
  if (known == nullptr || known->incarnation <= body.incarnation()) return {};
  return fail(ErrorCode::kNodeConflict,
              who + " was started again since: incarnation " + std::to_string(body.incarnation()) +
                  " has ended, the cluster knows " + std::to_string(known->incarnation));
}

// Metadata that were recovered by force began another Raft group, and the one before is over: a
// node that is still of it would decide beside us. Where it is this node that is of the group
// before, it stops deciding; not because of a node that may be of any cluster.
Status check_group(CoreLoop& here, const protocol::Hello& body) {
  if (body.metadata_group() == 0) return {};
  const Node& node = here.node();
  const std::uint64_t theirs = body.metadata_group() - 1;
  const std::uint64_t ours = std::max(node.metadata_group, here.image().group);
  if (theirs == ours) return {};
  const NodeId older = theirs < ours ? body.node_id() : node.config.node_id;
  Error over{ErrorCode::kWrongCluster,
             "the metadata of this cluster were restored or recovered by force, and node " +
                 std::to_string(older) +
                 " has those of before: start it again, then it joins again"};
  const bool of_this_cluster = text(body.cluster_id()) == here.image().cluster_id.text();
  if (older == node.config.node_id && of_this_cluster) node.controller->give_up(over);
  return std::unexpected(std::move(over));
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

bool require_node(const ClientConnection& client, Reply& reply) {
  if (client.node_id() != 0) return true;
  reply.error({ErrorCode::kUnauthorized,
               "only nodes of the cluster may send this: the hello of this connection names none"});
  return false;
}

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
  if (body.node_id() != 0) {
    if (auto checked = check_node(client.loop(), node.config.node_id, node.incarnation, body);
        !checked)
      return refuse(checked.error());
    if (auto checked = check_group(client.loop(), body); !checked) return refuse(checked.error());
  }
  client.hello_done(text(body.client_name()), body.node_id(), body.incarnation());
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
