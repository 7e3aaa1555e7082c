// Between nodes: waiting until this one knows metadata that another one has.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/over_mains.h"

namespace andyx::server {

void handle(ClientConnection& client, const protocol::NodeAwait& body, Reply reply) {
  if (!require_node(client, reply)) return;
  after_image(client.loop(), body.version(), [reply = std::move(reply)](Status known) mutable {
    if (!known) return reply.error(known.error());
    reply.done();
  });
}

}  // namespace andyx::server
