// A node that starts asks to be taken in. Any node may be asked: its controller passes the
// registration on to where the metadata is led.
#include "frame_generated.h"
#include "server/cluster/membership.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {
namespace {

Result<NodeSpec> spec_of(const ClientConnection& client, const protocol::NodeJoin& body) {
  if (body.node_id() != client.node_id() || body.incarnation() != client.node_incarnation()) {
    return fail(ErrorCode::kBadArgument, "node " + std::to_string(client.node_id()) +
                                             " cannot ask for node " +
                                             std::to_string(body.node_id()));
  }
  const auto disk_id = Uuid::parse(body.disk_id()->string_view());
  if (!disk_id)
    return fail(ErrorCode::kBadArgument, "'" + body.disk_id()->str() + "' is no disk id");
  return NodeSpec{.node_id = body.node_id(),
                  .disk_id = *disk_id,
                  .incarnation = body.incarnation(),
                  .host = body.host()->str(),
                  .port = body.port(),
                  .peer_port = body.peer_port(),
                  .roles = body.roles(),
                  .intact = body.intact()};
}

// What can be told here, before anything is proposed.
Status check(const CoreLoop& here, const protocol::NodeJoin& body, const NodeSpec& spec) {
  const Image& image = here.image();
  const std::string cluster = image.cluster_id.text();
  if (body.cluster_id() != nullptr && body.cluster_id()->size() > 0 &&
      body.cluster_id()->string_view() != cluster) {
    return fail(ErrorCode::kWrongCluster, "this is cluster " + cluster +
                                              ", the data directory of node " +
                                              std::to_string(spec.node_id) +
                                              " belongs to cluster " + body.cluster_id()->str());
  }
  const auto known = image.find_node(spec.node_id);
  if (known != nullptr && known->disk_id != spec.disk_id) {
    return fail(ErrorCode::kNodeConflict, "node id " + std::to_string(spec.node_id) +
                                              " is taken by the node at " +
                                              net::Address{known->host, known->port}.text() +
                                              " with disk id " + known->disk_id.text());
  }
  return {};
}

}  // namespace

void handle(ClientConnection& client, const protocol::NodeJoin& body, Reply reply) {
  if (!require_node(client, reply)) return;
  CoreLoop& here = client.loop();
  auto spec = spec_of(client, body);
  if (!spec) return reply.error(spec.error());
  if (auto checked = check(here, body, *spec); !checked) return reply.error(checked.error());
  Controller& controller = *here.node().controller;
  auto registered = [&controller, id = spec->node_id,
                     reply = std::move(reply)](const Status& status) mutable {
    if (!status) return reply.error(status.error());
    const auto image = controller.image();  // with the node in it
    reply.body(protocol::Body::NodeJoinReply, [&](flatbuffers::FlatBufferBuilder& builder) {
      std::vector<flatbuffers::Offset<protocol::JoinPeer>> peers;
      for (const KnownNode& node : other_nodes(*image, id)) {
        peers.push_back(protocol::CreateJoinPeer(builder, node.node,
                                                 builder.CreateString(node.address.host),
                                                 node.address.port, node.peer_port));
      }
      const auto cluster = builder.CreateString(image->cluster_id.text());
      const auto others = builder.CreateVector(peers);
      return protocol::CreateNodeJoinReply(builder, cluster, image->position, others, image->group);
    });
  };
  controller.register_node(std::move(*spec), std::move(registered));
}

}  // namespace andyx::server
