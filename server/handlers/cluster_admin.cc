// What an operator changes about the cluster: nodes come to be drained and go, copies and mains
// move. Each is a wish to the controller, from any node.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {
namespace {

// Answers when every loop of this node knows what has become of it.
void propose(CoreLoop& here, Wish wish, Reply reply) {
  here.node().controller->propose(
      std::move(wish), [&here, reply = std::move(reply)](const Status& status) mutable {
        // Copies that lag may lag for long: the operator decides whether to wait for them.
        if (!status && status.error().code == ErrorCode::kNotInSync)
          return reply.refuse(status.error());
        if (!status) return reply.error(status.error());
        after_all_loops(here.node(), here, [reply = std::move(reply)]() mutable { reply.done(); });
      });
}

// The name of the topic; answers itself where it is none, or where no node is named.
std::optional<TopicName> check_target(const flatbuffers::String& topic, NodeId to, Reply& reply) {
  auto name = TopicName::parse(topic.string_view());
  if (name && to != 0) return std::move(*name);
  reply.error(!name ? name.error()
                    : Error{ErrorCode::kBadArgument,
                            "it has to be said which node is meant: ids are 1 or higher"});
  return std::nullopt;
}

}  // namespace

void handle(ClientConnection& client, const protocol::NodeRemove& body, Reply reply) {
  propose(client.loop(), RemoveNodeCommand{.node_id = body.node_id()}, std::move(reply));
}

void handle(ClientConnection& client, const protocol::NodeDrain& body, Reply reply) {
  propose(client.loop(), DrainNodeCommand{.node_id = body.node_id(), .on = body.on()},
          std::move(reply));
}

void handle(ClientConnection& client, const protocol::BalancePause& body, Reply reply) {
  propose(client.loop(), PauseBalancingCommand{.on = body.paused()}, std::move(reply));
}

void handle(ClientConnection& client, const protocol::PartitionMove& body, Reply reply) {
  auto topic = check_target(*body.topic(), body.to(), reply);
  if (!topic) return;
  propose(client.loop(),
          PartitionMove{.topic = std::move(*topic),
                        .partition = body.partition(),
                        .from = body.from(),
                        .to = body.to()},
          std::move(reply));
}

void handle(ClientConnection& client, const protocol::PartitionElect& body, Reply reply) {
  auto topic = check_target(*body.topic(), body.to(), reply);
  if (!topic) return;
  propose(client.loop(),
          PartitionElect{.topic = std::move(*topic),
                         .partition = body.partition(),
                         .to = body.to(),
                         .forced = body.accept_data_loss()},
          std::move(reply));
}

}  // namespace andyx::server
