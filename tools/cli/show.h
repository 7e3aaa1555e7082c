// Topics, subscriptions, the node's and the cluster's status as tables and as the JSON that JSON.md
// describes. Any thread.
#pragma once

#include <string>
#include <vector>

#include "andyx/admin.h"

namespace andyx::cli {

// Each ends with LF.
std::string topic_table(const client::TopicInfo& topic);
std::string topic_json(const client::TopicInfo& topic);
std::string topics_table(const std::vector<client::TopicInfo>& topics);
std::string topics_json(const std::vector<client::TopicInfo>& topics);

std::string subscription_table(const client::SubscriptionInfo& subscription);
std::string subscription_json(const client::SubscriptionInfo& subscription);
std::string subscriptions_table(const std::vector<client::SubscriptionInfo>& subscriptions);
std::string subscriptions_json(const std::vector<client::SubscriptionInfo>& subscriptions);

std::string producer_table(const client::ProducerInfo& producer);
std::string producer_json(const client::ProducerInfo& producer);
std::string producers_table(const std::vector<client::ProducerInfo>& producers);
std::string producers_json(const std::vector<client::ProducerInfo>& producers);

std::string node_table(const client::NodeStatus& node);
std::string node_json(const client::NodeStatus& node);

std::string cluster_table(const client::ClusterStatus& cluster);
std::string cluster_json(const client::ClusterStatus& cluster);
std::string cluster_nodes_table(const client::ClusterStatus& cluster);
std::string cluster_nodes_json(const client::ClusterStatus& cluster);
// "balancing is on, 2 copies are moving"; without LF.
std::string balance_text(const client::ClusterStatus& cluster);
std::string balance_report(const client::ClusterStatus& cluster);
std::string balance_json(const client::ClusterStatus& cluster);

}  // namespace andyx::cli
