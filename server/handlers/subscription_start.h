// What a subscription needs of its partitions, here and on other nodes: the start position from the
// wire, the place that coordinates, waiting until every partition has fixed its start, and taking a
// partition from its consumer.
#pragma once

#include <string_view>
#include <vector>

#include "server/handlers/over_mains.h"
#include "subscription_generated.h"

namespace andyx::server {

Result<SubscriptionSpec> subscription_spec(std::string_view name, protocol::SubscriptionType type,
                                           protocol::SubscriptionMode mode,
                                           const protocol::Start* start, bool key_ordered);

// In this topic; answers the reply with kUnknownSubscription otherwise.
std::shared_ptr<const SubscriptionRecord> find_subscription(const Topic& topic,
                                                            std::string_view name, Reply& reply);

// The loop of the subscription's coordinating partition.
CoreLoop& coordinator_loop(Node& node, const Topic& topic, const SubscriptionRecord& subscription);

// kNotMain, with the node to go to, where the subscription is not coordinated by this node as the
// image says. kUnknownTopic.
Status check_coordinator(const Image& image, NodeId self, TopicId topic,
                         const SubscriptionRecord& subscription);

// `started` runs on `home` when the start of the subscription is fixed and durable on every
// partition, wherever its main is. Control loop or `home`. kTimedOut after limits::kMainsAnswerMs.
void when_started(CoreLoop& home, TopicName topic, std::shared_ptr<const SubscriptionRecord> record,
                  StatusDone started);
// The same for partitions from..to-1, for one that is in the image; of subscription 0: all of the
// topic. On `home`.
void when_ready_on_mains(CoreLoop& home, TopicId topic, SubscriptionId subscription,
                         std::uint32_t from, std::uint32_t to, StatusDone ready);
// On these partitions, of which this node is main: kNotMain otherwise.
void ready_here(CoreLoop& here, TopicId topic, SubscriptionId subscription,
                const std::vector<std::uint32_t>& partitions, StatusDone ready);

// Takes a partition of which this node is main from streams up to `epoch`; `drained` on `here`, as
// Subscription::revoke says. kNotMain: another node is, or has become it meanwhile.
void revoke_here(CoreLoop& here, TopicId topic, std::uint32_t partition,
                 SubscriptionId subscription, std::uint64_t epoch, StatusDone drained);

}  // namespace andyx::server
