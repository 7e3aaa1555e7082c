// One request, one file: what each body of the protocol does on the node. Called on the
// connection's loop with a verified frame; each answers its Reply once, then or later, here or on
// another loop.
#pragma once

#include "protocol/base/shared_bytes.h"
#include "server/loop/client_connection.h"
#include "server/loop/reply.h"

namespace andyx::protocol {
struct Frame;
struct Hello;
struct TopicCreate;
struct TopicDelete;
struct TopicList;
struct TopicDescribe;
struct MetadataRequest;
struct ProducerOpen;
struct Produce;
struct ProducerClose;
struct ProducerCreate;
struct ProducerDelete;
struct ProducerList;
struct Read;
struct LookupOffset;
struct SubscriptionCreate;
struct SubscriptionDelete;
struct SubscriptionList;
struct SubscriptionDescribe;
struct SubscriptionReset;
struct Subscribe;
struct Unsubscribe;
struct StreamOpen;
struct StreamClose;
struct Credit;
struct Answer;
struct NodeStatus;
struct TopicAlter;
struct ScopeCreate;
struct ScopeDelete;
struct ScopeList;
struct ScopeDescribe;
struct TenantActivate;
struct SettingsShow;
struct SettingsSet;
struct RetentionShow;
struct RetentionSet;
struct RetentionDelete;
struct SubscriptionRevoke;
struct SubscriptionReady;
struct NodeAwait;
struct ClusterStatus;
struct NodeRemove;
struct NodeDrain;
struct BalancePause;
struct SafeToStop;
struct PartitionMove;
struct PartitionElect;
struct NodeJoin;
struct NodeHeartbeat;
struct ControllerPropose;
struct MetadataPull;
struct MetadataBackup;
struct MetadataSnapshotPull;
struct ReplicaFetch;
}  // namespace andyx::protocol

namespace andyx::server {

// Sends the frame's body to its handler below. `frame` keeps the bytes that the body points into.
void handle_request(ClientConnection& client, const protocol::Frame& root, SharedBytes frame,
                    Reply reply);

// For the bodies that only nodes of the cluster send. False: a client sent it, and `reply` is
// answered with kUnauthorized.
bool require_node(const ClientConnection& client, Reply& reply);

void handle(ClientConnection& client, const protocol::Hello& body, Reply reply);
void handle(ClientConnection& client, const protocol::TopicCreate& body, Reply reply);
void handle(ClientConnection& client, const protocol::TopicDelete& body, Reply reply);
void handle(ClientConnection& client, const protocol::TopicList& body, Reply reply);
void handle(ClientConnection& client, const protocol::TopicDescribe& body, Reply reply);
void handle(ClientConnection& client, const protocol::MetadataRequest& body, Reply reply);
void handle(ClientConnection& client, const protocol::ProducerOpen& body, Reply reply);
void handle(ClientConnection& client, const protocol::Produce& body, SharedBytes frame,
            Reply reply);
void handle(ClientConnection& client, const protocol::ProducerClose& body, Reply reply);
void handle(ClientConnection& client, const protocol::ProducerCreate& body, Reply reply);
void handle(ClientConnection& client, const protocol::ProducerDelete& body, Reply reply);
void handle(ClientConnection& client, const protocol::ProducerList& body, Reply reply);
void handle(ClientConnection& client, const protocol::Read& body, Reply reply);
void handle(ClientConnection& client, const protocol::LookupOffset& body, Reply reply);
void handle(ClientConnection& client, const protocol::SubscriptionCreate& body, Reply reply);
void handle(ClientConnection& client, const protocol::SubscriptionDelete& body, Reply reply);
void handle(ClientConnection& client, const protocol::SubscriptionList& body, Reply reply);
void handle(ClientConnection& client, const protocol::SubscriptionDescribe& body, Reply reply);
void handle(ClientConnection& client, const protocol::SubscriptionReset& body, Reply reply);
void handle(ClientConnection& client, const protocol::Subscribe& body, Reply reply);
void handle(ClientConnection& client, const protocol::Unsubscribe& body, Reply reply);
void handle(ClientConnection& client, const protocol::StreamOpen& body, Reply reply);
void handle(ClientConnection& client, const protocol::StreamClose& body, Reply reply);
void handle(ClientConnection& client, const protocol::Credit& body, Reply reply);
void handle(ClientConnection& client, const protocol::Answer& body, SharedBytes frame, Reply reply);
void handle(ClientConnection& client, const protocol::NodeStatus& body, Reply reply);
void handle(ClientConnection& client, const protocol::TopicAlter& body, Reply reply);
void handle(ClientConnection& client, const protocol::ScopeCreate& body, Reply reply);
void handle(ClientConnection& client, const protocol::ScopeDelete& body, Reply reply);
void handle(ClientConnection& client, const protocol::ScopeList& body, Reply reply);
void handle(ClientConnection& client, const protocol::ScopeDescribe& body, Reply reply);
void handle(ClientConnection& client, const protocol::TenantActivate& body, Reply reply);
void handle(ClientConnection& client, const protocol::SettingsShow& body, Reply reply);
void handle(ClientConnection& client, const protocol::SettingsSet& body, Reply reply);
void handle(ClientConnection& client, const protocol::RetentionShow& body, Reply reply);
void handle(ClientConnection& client, const protocol::RetentionSet& body, Reply reply);
void handle(ClientConnection& client, const protocol::RetentionDelete& body, Reply reply);
void handle(ClientConnection& client, const protocol::ClusterStatus& body, Reply reply);
void handle(ClientConnection& client, const protocol::NodeRemove& body, Reply reply);
void handle(ClientConnection& client, const protocol::NodeDrain& body, Reply reply);
void handle(ClientConnection& client, const protocol::BalancePause& body, Reply reply);
void handle(ClientConnection& client, const protocol::SafeToStop& body, Reply reply);
void handle(ClientConnection& client, const protocol::PartitionMove& body, Reply reply);
void handle(ClientConnection& client, const protocol::PartitionElect& body, Reply reply);
// From other nodes only.
void handle(ClientConnection& client, const protocol::SubscriptionRevoke& body, Reply reply);
void handle(ClientConnection& client, const protocol::SubscriptionReady& body, Reply reply);
void handle(ClientConnection& client, const protocol::NodeAwait& body, Reply reply);
void handle(ClientConnection& client, const protocol::NodeJoin& body, Reply reply);
void handle(ClientConnection& client, const protocol::NodeHeartbeat& body, Reply reply);
void handle(ClientConnection& client, const protocol::ControllerPropose& body, Reply reply);
void handle(ClientConnection& client, const protocol::MetadataPull& body, Reply reply);
void handle(ClientConnection& client, const protocol::MetadataBackup& body, Reply reply);
void handle(ClientConnection& client, const protocol::MetadataSnapshotPull& body, Reply reply);
void handle(ClientConnection& client, const protocol::ReplicaFetch& body, Reply reply);

}  // namespace andyx::server
