// Between nodes: what a subscription's coordinator asks of the mains of its partitions.
#include "frame_generated.h"
#include "server/handlers/first_error.h"
#include "server/handlers/handlers.h"
#include "server/handlers/over_mains.h"
#include "server/handlers/subscription_start.h"

namespace andyx::server {

void handle(ClientConnection& client, const protocol::SubscriptionRevoke& body, Reply reply) {
  if (!require_node(client, reply)) return;
  CoreLoop& here = client.loop();
  if (body.partitions() == nullptr || body.epochs() == nullptr ||
      body.partitions()->size() != body.epochs()->size())
    return reply.error({ErrorCode::kBadArgument, "a partition to revoke has one epoch"});
  auto outcome = std::make_shared<FirstError>();
  auto all = std::make_shared<OnLastRelease>(here, [outcome, reply = std::move(reply)]() mutable {
    if (auto error = outcome->get()) return reply.error(*error);
    reply.done();
  });
  for (std::uint32_t i = 0; i < body.partitions()->size(); ++i) {
    revoke_here(here, body.topic_id(), body.partitions()->Get(i), body.subscription_id(),
                body.epochs()->Get(i), [outcome, all](Status drained) { outcome->note(drained); });
  }
}

void handle(ClientConnection& client, const protocol::SubscriptionReady& body, Reply reply) {
  if (!require_node(client, reply)) return;
  CoreLoop& here = client.loop();
  std::vector<std::uint32_t> partitions;
  if (body.partitions() != nullptr)
    partitions.assign(body.partitions()->begin(), body.partitions()->end());
  after_image(here, body.version(),
              [&here, topic = body.topic_id(), id = body.subscription_id(),
               partitions = std::move(partitions), reply = std::move(reply)](Status known) mutable {
                if (!known) return reply.error(known.error());
                ready_here(here, topic, id, std::move(partitions),
                           [reply = std::move(reply)](Status ready) mutable {
                             if (!ready) return reply.error(ready.error());
                             reply.done();
                           });
              });
}

}  // namespace andyx::server
