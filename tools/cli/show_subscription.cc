#include "tools/cli/show.h"
#include "tools/cli/show_text.h"
#include "tools/common/choices.h"
#include "tools/common/table.h"
#include "tools/common/time_text.h"

namespace andyx::cli {
namespace {

Json summary(const client::SubscriptionInfo& subscription) {
  return Json{{"topic", topic_url(subscription.topic)},
              {"subscription", subscription.name},
              {"subscription_id", subscription.subscription_id},
              {"type", tools::type_choices().word_of(subscription.type)},
              {"mode", tools::mode_choices().word_of(subscription.mode)},
              {"created", tools::format_time(subscription.created_us)},
              {"key_ordered", subscription.key_ordered}};
}

std::string kind_of(const client::SubscriptionInfo& subscription) {
  return std::string(tools::type_choices().word_of(subscription.type)) +
         (subscription.key_ordered ? ", key-ordered" : "");
}

// 0 to 3 and 5 as "0-3,5".
std::string ranges_text(const std::vector<std::uint32_t>& numbers) {
  std::string text;
  for (std::size_t at = 0; at < numbers.size();) {
    std::size_t end = at + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += number(numbers[at]);
    if (end - at > 1) text += '-' + number(numbers[end - 1]);
    at = end;
  }
  return text.empty() ? "-" : text;
}

std::string consumers_table(const client::SubscriptionInfo& subscription) {
  tools::Table table({"CONSUMER", "ADDRESS", ">PRIORITY", "ATTACHED", "ACTIVE-ON"});
  for (const client::ConsumerInfo& consumer : subscription.consumers) {
    table.add({consumer.name, consumer.address, std::to_string(consumer.priority),
               tools::format_time(consumer.attached_us), ranges_text(consumer.active)});
  }
  return table.text();
}

Json consumers_json(const client::SubscriptionInfo& subscription) {
  Json json = Json::array();
  for (const client::ConsumerInfo& consumer : subscription.consumers) {
    json.push_back(Json{{"consumer", consumer.name},
                        {"address", consumer.address},
                        {"priority", consumer.priority},
                        {"attached", tools::format_time(consumer.attached_us)},
                        {"active", consumer.active}});
  }
  return json;
}

// Seconds with one digit; "-" when there is no lag.
std::string seconds(std::uint64_t ms) {
  if (ms == 0) return "-";
  return number(ms / 1'000) + '.' + number(ms % 1'000 / 100) + 's';
}

std::uint64_t total_lag(const client::SubscriptionInfo& subscription) {
  std::uint64_t lag = 0;
  for (const auto& p : subscription.partitions) lag += p.lag_messages;
  return lag;
}

}  // namespace

std::string subscription_table(const client::SubscriptionInfo& subscription) {
  std::string out = subscription.name + " of " + topic_url(subscription.topic) + "  " +
                    kind_of(subscription) + ", " +
                    std::string(tools::mode_choices().word_of(subscription.mode)) + "  created " +
                    tools::format_time(subscription.created_us) + "  lag " +
                    number(total_lag(subscription)) + '\n';
  out +=
      note_line(subscription.note.empty() ? subscription.note
                                          : "who is attached is not known: " + subscription.note);
  tools::Table table({">PARTITION", ">FLOOR", ">COMMITTED", ">LAG", ">LAG-BYTES", ">LAG-TIME",
                      ">ABOVE-FLOOR", ">IN-FLIGHT", ">REDELIVERY", ">DELAYED", ">SKIPPED", ">DEAD",
                      "CONSUMER", "BLOCKED"});
  for (const client::SubscriptionPartitionInfo& p : subscription.partitions) {
    table.add({number(p.partition), number(p.floor), number(p.committed_offset),
               number(p.lag_messages), number(p.lag_bytes), seconds(p.lag_ms),
               number(p.answered_above_floor), number(p.in_flight), number(p.waiting_redelivery),
               number(p.delayed), number(p.skipped), number(p.dead_lettered),
               p.attached_consumer.empty() ? "-" : p.attached_consumer,
               p.blocked.empty() ? "-" : p.blocked});
  }
  out += table.text();
  if (!subscription.consumers.empty()) out += '\n' + consumers_table(subscription);
  return out;
}

std::string subscription_json(const client::SubscriptionInfo& subscription) {
  Json json = summary(subscription);
  json["lag_messages"] = total_lag(subscription);
  json["consumers"] = consumers_json(subscription);
  json["note"] = subscription.note;
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
                                      {"blocked", p.blocked},
                                      {"delayed", p.delayed},
                                      {"dead_lettered", p.dead_lettered},
                                      {"lag_bytes", p.lag_bytes},
                                      {"lag_ms", p.lag_ms}});
  }
  return json_line(json);
}

std::string subscriptions_table(const std::vector<client::SubscriptionInfo>& subscriptions) {
  tools::Table table({"SUBSCRIPTION", "TYPE", "MODE", "CREATED"});
  for (const client::SubscriptionInfo& subscription : subscriptions) {
    table.add({subscription.name, kind_of(subscription),
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
