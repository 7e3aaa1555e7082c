// What is known of a subscription: from every partition its state, from the coordinator who is
// attached, wherever these are.
#pragma once

#include <memory>

#include "server/handlers/routing.h"
#include "subscription_generated.h"

namespace andyx::server {

template <typename Table>
using Tables = flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Table>>>;

flatbuffers::Offset<protocol::SubscriptionInfo> make_subscription_info(
    flatbuffers::FlatBufferBuilder& builder, const Topic& topic, const SubscriptionRecord& record,
    Tables<protocol::SubscriptionPartitionInfo> partitions = 0,
    Tables<protocol::ConsumerInfo> consumers = 0, const std::string& note = {});

// Answers with everything, within limits::kNodeGatherMs: a partition whose main does not answer is
// listed with the reason. On `here`.
void describe_subscription(CoreLoop& here, std::shared_ptr<const Topic> topic,
                           std::shared_ptr<const SubscriptionRecord> record, Reply reply);

}  // namespace andyx::server
