// Between nodes: a change of the metadata that was proposed on a node which does not lead.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {

void handle(ClientConnection& client, const protocol::ControllerPropose& body, Reply reply) {
  if (!require_node(client, reply)) return;
  const Uuid command_id{body.command_id_hi(), body.command_id_lo()};
  auto answer = [reply = std::move(reply)](Result<ProposalAnswer> answered) mutable {
    if (!answered) return reply.error(answered.error());
    reply.body(protocol::Body::ControllerProposeReply,
               [&](flatbuffers::FlatBufferBuilder& builder) {
                 return protocol::CreateControllerProposeReply(builder, answered->version,
                                                               answered->result);
               });
  };
  client.loop().node().controller->propose_for(
      command_id, {body.wish()->data(), body.wish()->size()}, std::move(answer));
}

}  // namespace andyx::server
