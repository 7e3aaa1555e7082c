#include "tools/cli/show.h"
#include "tools/cli/show_text.h"
#include "tools/cli/table.h"
#include "tools/common/choices.h"
#include "tools/common/time_text.h"

namespace andyx::cli {
namespace {

Json summary(const client::SubscriptionInfo& subscription) {
  return Json{{"topic", topic_url(subscription.topic)},
              {"subscription", subscription.name},
              {"subscription_id", subscription.subscription_id},
              {"type", tools::type_choices().word_of(subscription.type)},
              {"mode", tools::mode_choices().word_of(subscription.mode)},
              {"created", tools::format_time(subscription.created_us)}};
}

std::uint64_t total_lag(const client::SubscriptionInfo& subscription) {
  std::uint64_t lag = 0;
  for (const auto& p : subscription.partitions) lag += p.lag_messages;
  return lag;
}

}  // namespace

std::string subscription_table(const client::SubscriptionInfo& subscription) {
  std::string out = subscription.name + " of " + topic_url(subscription.topic) + "  " +
                    std::string(tools::type_choices().word_of(subscription.type)) + ", " +
                    std::string(tools::mode_choices().word_of(subscription.mode)) + "  created " +
                    tools::format_time(subscription.created_us) + "  lag " +
                    number(total_lag(subscription)) + '\n';
  Table table({">PARTITION", ">FLOOR", ">COMMITTED", ">LAG", ">ABOVE-FLOOR", ">IN-FLIGHT",
               ">REDELIVERY", ">SKIPPED", "CONSUMER", "BLOCKED"});
  for (const client::SubscriptionPartitionInfo& p : subscription.partitions) {
    table.add({number(p.partition), number(p.floor), number(p.committed_offset),
               number(p.lag_messages), number(p.answered_above_floor), number(p.in_flight),
               number(p.waiting_redelivery), number(p.skipped),
               p.attached_consumer.empty() ? "-" : p.attached_consumer,
               p.blocked.empty() ? "-" : p.blocked});
  }
  return out + table.text();
}

std::string subscription_json(const client::SubscriptionInfo& subscription) {
  Json json = summary(subscription);
  json["lag_messages"] = total_lag(subscription);
  json["partitions"] = Json::array();
  for (const client::SubscriptionPartitionInfo& p : subscription.partitions) {
    json["partitions"].push_back(Json{{"partition", p.partition},
                                      {"start_offset", p.start_offset},
                                      {"committed_offset", p.committed_offset},
                                      {"floor", p.floor},
                                      {"answered_above_floor", p.answered_above_floor},
                                      {"in_flight", p.in_flight},
                                      {"waiting_redelivery", p.waiting_redelivery},
                                      {"skipped", p.skipped},
                                      {"lag_messages", p.lag_messages},
                                      {"consumer", p.attached_consumer},
                                      {"credit_messages", p.credit_messages},
                                      {"credit_bytes", p.credit_bytes},
                                      {"blocked", p.blocked}});
  }
  return json_line(json);
}

std::string subscriptions_table(const std::vector<client::SubscriptionInfo>& subscriptions) {
  Table table({"SUBSCRIPTION", "TYPE", "MODE", "CREATED"});
  for (const client::SubscriptionInfo& subscription : subscriptions) {
    table.add({subscription.name, std::string(tools::type_choices().word_of(subscription.type)),
               std::string(tools::mode_choices().word_of(subscription.mode)),
               tools::format_time(subscription.created_us)});
  }
  return table.text();
}

std::string subscriptions_json(const std::vector<client::SubscriptionInfo>& subscriptions) {
  Json json{{"subscriptions", Json::array()}};
  for (const client::SubscriptionInfo& subscription : subscriptions) {
    json["subscriptions"].push_back(summary(subscription));
  }
  return json_line(json);
}

}  // namespace andyx::cli
