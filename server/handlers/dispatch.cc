#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/loop/core_loop.h"

namespace andyx::server {
namespace {

void answer_ping(Reply reply) {
  reply.body(protocol::Body::Pong, [](flatbuffers::FlatBufferBuilder& builder) {
    return protocol::CreatePong(builder, net::wall_time_us());
  });
}

}  // namespace

void handle_request(ClientConnection& client, const protocol::Frame& root, SharedBytes frame,
                    Reply reply) {
  // Other nodes go on: what this one still has under way may wait for them.
  if (client.loop().draining() && client.node_id() == 0) {
    return reply.error({ErrorCode::kShuttingDown, "the node stops and takes no new requests"});
  }
  using protocol::Body;
  switch (root.body_type()) {
    case Body::Hello:
      return handle(client, *root.body_as_Hello(), std::move(reply));
    case Body::Ping:
      return answer_ping(std::move(reply));
    case Body::TopicCreate:
      return handle(client, *root.body_as_TopicCreate(), std::move(reply));
    case Body::TopicDelete:
      return handle(client, *root.body_as_TopicDelete(), std::move(reply));
    case Body::TopicList:
      return handle(client, *root.body_as_TopicList(), std::move(reply));
    case Body::TopicDescribe:
      return handle(client, *root.body_as_TopicDescribe(), std::move(reply));
    case Body::MetadataRequest:
      return handle(client, *root.body_as_MetadataRequest(), std::move(reply));
    case Body::ProducerOpen:
      return handle(client, *root.body_as_ProducerOpen(), std::move(reply));
    case Body::Produce:
      return handle(client, *root.body_as_Produce(), std::move(frame), std::move(reply));
    case Body::ProducerClose:
      return handle(client, *root.body_as_ProducerClose(), std::move(reply));
    case Body::ProducerCreate:
      return handle(client, *root.body_as_ProducerCreate(), std::move(reply));
    case Body::ProducerDelete:
      return handle(client, *root.body_as_ProducerDelete(), std::move(reply));
    case Body::ProducerList:
      return handle(client, *root.body_as_ProducerList(), std::move(reply));
    case Body::Read:
      return handle(client, *root.body_as_Read(), std::move(reply));
    case Body::LookupOffset:
      return handle(client, *root.body_as_LookupOffset(), std::move(reply));
    case Body::SubscriptionCreate:
      return handle(client, *root.body_as_SubscriptionCreate(), std::move(reply));
    case Body::SubscriptionDelete:
      return handle(client, *root.body_as_SubscriptionDelete(), std::move(reply));
    case Body::SubscriptionList:
      return handle(client, *root.body_as_SubscriptionList(), std::move(reply));
    case Body::SubscriptionDescribe:
      return handle(client, *root.body_as_SubscriptionDescribe(), std::move(reply));
    case Body::SubscriptionReset:
      return handle(client, *root.body_as_SubscriptionReset(), std::move(reply));
    case Body::Subscribe:
      return handle(client, *root.body_as_Subscribe(), std::move(reply));
    case Body::Unsubscribe:
      return handle(client, *root.body_as_Unsubscribe(), std::move(reply));
    case Body::StreamOpen:
      return handle(client, *root.body_as_StreamOpen(), std::move(reply));
    case Body::StreamClose:
      return handle(client, *root.body_as_StreamClose(), std::move(reply));
    case Body::Credit:
      return handle(client, *root.body_as_Credit(), std::move(reply));
    case Body::Answer:
      return handle(client, *root.body_as_Answer(), std::move(frame), std::move(reply));
    case Body::NodeStatus:
      return handle(client, *root.body_as_NodeStatus(), std::move(reply));
    case Body::TopicAlter:
      return handle(client, *root.body_as_TopicAlter(), std::move(reply));
    case Body::ScopeCreate:
      return handle(client, *root.body_as_ScopeCreate(), std::move(reply));
    case Body::ScopeDelete:
      return handle(client, *root.body_as_ScopeDelete(), std::move(reply));
    case Body::ScopeList:
      return handle(client, *root.body_as_ScopeList(), std::move(reply));
    case Body::ScopeDescribe:
      return handle(client, *root.body_as_ScopeDescribe(), std::move(reply));
    case Body::TenantActivate:
      return handle(client, *root.body_as_TenantActivate(), std::move(reply));
    case Body::SettingsShow:
      return handle(client, *root.body_as_SettingsShow(), std::move(reply));
    case Body::SettingsSet:
      return handle(client, *root.body_as_SettingsSet(), std::move(reply));
    case Body::RetentionShow:
      return handle(client, *root.body_as_RetentionShow(), std::move(reply));
    case Body::RetentionSet:
      return handle(client, *root.body_as_RetentionSet(), std::move(reply));
    case Body::RetentionDelete:
      return handle(client, *root.body_as_RetentionDelete(), std::move(reply));
    case Body::ClusterStatus:
      return handle(client, *root.body_as_ClusterStatus(), std::move(reply));
    case Body::NodeRemove:
      return handle(client, *root.body_as_NodeRemove(), std::move(reply));
    case Body::NodeDrain:
      return handle(client, *root.body_as_NodeDrain(), std::move(reply));
    case Body::BalancePause:
      return handle(client, *root.body_as_BalancePause(), std::move(reply));
    case Body::SafeToStop:
      return handle(client, *root.body_as_SafeToStop(), std::move(reply));
    case Body::PartitionMove:
      return handle(client, *root.body_as_PartitionMove(), std::move(reply));
    case Body::PartitionElect:
      return handle(client, *root.body_as_PartitionElect(), std::move(reply));
    case Body::SubscriptionRevoke:
      return handle(client, *root.body_as_SubscriptionRevoke(), std::move(reply));
    case Body::SubscriptionReady:
      return handle(client, *root.body_as_SubscriptionReady(), std::move(reply));
    case Body::NodeAwait:
      return handle(client, *root.body_as_NodeAwait(), std::move(reply));
    case Body::NodeJoin:
      return handle(client, *root.body_as_NodeJoin(), std::move(reply));
    case Body::NodeHeartbeat:
      return handle(client, *root.body_as_NodeHeartbeat(), std::move(reply));
    case Body::ControllerPropose:
      return handle(client, *root.body_as_ControllerPropose(), std::move(reply));
    case Body::MetadataPull:
      return handle(client, *root.body_as_MetadataPull(), std::move(reply));
    case Body::MetadataBackup:
      return handle(client, *root.body_as_MetadataBackup(), std::move(reply));
    case Body::MetadataSnapshotPull:
      return handle(client, *root.body_as_MetadataSnapshotPull(), std::move(reply));
    case Body::ReplicaFetch:
      return handle(client, *root.body_as_ReplicaFetch(), std::move(reply));
    // Answers, and what a server pushes: no client sends them.
    case Body::NONE:
    case Body::HelloReply:
    case Body::Pong:
    case Body::ErrorReply:
    case Body::Done:
    case Body::TopicReply:
    case Body::MetadataReply:
    case Body::ProducerOpenReply:
    case Body::ProduceReply:
    case Body::ReadReply:
    case Body::LookupOffsetReply:
    case Body::SubscriptionReply:
    case Body::SubscribeReply:
    case Body::StreamOpenReply:
    case Body::StreamClosed:
    case Body::Deliver:
    case Body::NodeStatusReply:
    case Body::Assigned:
    case Body::Detached:
    case Body::ProducerReply:
    case Body::ScopeReply:
    // Between Raft peers, on connections of their own.
    case Body::PeerHello:
    case Body::PeerHelloReply:
    case Body::RaftMessages:
    case Body::RaftSnapshotHead:
    case Body::RaftSnapshotChunk:
    case Body::RaftSnapshotAck:
    case Body::RaftSnapshotRefused:
    // Between nodes.
    case Body::NodeJoinReply:
    case Body::NodeHeartbeatReply:
    case Body::MetadataPullReply:
    case Body::MetadataSnapshotPart:
    case Body::ControllerProposeReply:
    case Body::ReplicaAnswer:
    case Body::ClusterStatusReply:
    case Body::SafeToStopReply:
      break;
  }
  reply.none();
  client.close_with_error({ErrorCode::kUnknownBody, std::string("a client does not send ") +
                                                        protocol::EnumNameBody(root.body_type())});
}

}  // namespace andyx::server
