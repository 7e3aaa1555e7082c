// The tables of administration requests, and the values of their answers. Pure.
#pragma once

#include "andyx/admin.h"
#include "frame_generated.h"

namespace andyx::client {

TopicInfo topic_info(const protocol::TopicInfo& in);
SubscriptionInfo subscription_info(const protocol::SubscriptionInfo& in);
ProducerInfo producer_info(const protocol::ProducerInfo& in);
NodeStatus node_status_of(const protocol::NodeStatusReply& in);
protocol::Start start_of(const Start& start);

}  // namespace andyx::client
