#include "server/cluster/controller_link.h"

#include <utility>

namespace andyx::server {
namespace {

// Of each node that is asked; the proposal is sent again, under the same command id, by the
// Controller.
constexpr std::uint32_t kTimeoutMs = 2'000;

}  // namespace

void ControllerLink::propose(NodeId to, const Uuid& command_id, std::vector<std::uint8_t> wish,
                             Done done) {
  auto fill = [command_id, wish = std::move(wish)](flatbuffers::FlatBufferBuilder& builder) {
    const auto bytes = builder.CreateVector(wish);
    const auto body =
        protocol::CreateControllerPropose(builder, command_id.hi, command_id.lo, bytes);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ControllerPropose), body.Union()};
  };
  auto answered = [done = std::move(done)](Result<NodeFrame> answer) mutable {
    if (!answer) return done(std::unexpected(std::move(answer.error())));
    const auto* body = answer->frame->body_as_ControllerProposeReply();
    if (body == nullptr)
      return done(fail(ErrorCode::kConnectionLost, "the answer to a proposal is none"));
    done(ProposalAnswer{body->version(), body->result()});
  };
  if (links_ == nullptr) return answered(fail(ErrorCode::kShuttingDown, "this node stops"));
  // What the controller refuses is its answer: nobody else is asked then.
  if (to != 0) return links_->call(to, fill, kTimeoutMs, std::move(answered));
  peers_->ask_controller(to, fill, protocol::Body::ControllerProposeReply, kTimeoutMs,
                         std::move(answered));
}

}  // namespace andyx::server
