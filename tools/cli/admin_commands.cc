// topic, subscription and node commands: one request, one answer printed.
#include "tools/cli/print_result.h"
#include "tools/cli/show.h"
#include "tools/cli/show_text.h"

namespace andyx::cli {
namespace {

Outcome describe(Session& session, const std::string& topic, const std::string& subscription) {
  return show(session, session.client.admin().describe_subscription(topic, subscription),
              &subscription_json, &subscription_table);
}

std::string subscription_of(const std::string& subscription, const std::string& topic) {
  return "subscription " + subscription + " of " + topic_url(topic);
}

}  // namespace

Outcome run_command(Session& session, const TopicCreate& command) {
  const auto topic = session.client.admin().create_topic(command.topic, command.spec);
  return show(session, topic, &topic_json, &topic_table);
}

Outcome run_command(Session& session, const TopicList&) {
  return show(session, session.client.admin().list_topics(), &topics_json, &topics_table);
}

Outcome run_command(Session& session, const TopicDescribe& command) {
  return show(session, session.client.admin().describe_topic(command.topic), &topic_json,
              &topic_table);
}

Outcome run_command(Session& session, const TopicDelete& command) {
  const Status deleted = session.client.admin().delete_topic(command.topic);
  if (!deleted) return std::unexpected(deleted.error());
  return print(session.json() ? json_line({{"deleted", topic_url(command.topic)}})
                              : "deleted " + topic_url(command.topic) + '\n');
}

Outcome run_command(Session& session, const SubscriptionCreate& command) {
  client::SubscriptionSpec spec;
  spec.type = command.type;
  spec.mode = command.mode;
  spec.key_ordered = command.key_ordered;
  spec.start = command.from.value_or(client::Start::latest());
  const auto created =
      session.client.admin().create_subscription(command.topic, command.subscription, spec);
  if (!created) return std::unexpected(created.error());
  return describe(session, command.topic, command.subscription);
}

Outcome run_command(Session& session, const SubscriptionList& command) {
  return show(session, session.client.admin().list_subscriptions(command.topic),
              &subscriptions_json, &subscriptions_table);
}

Outcome run_command(Session& session, const SubscriptionDescribe& command) {
  if (command.watch) return watch_subscription(session, command);
  return describe(session, command.topic, command.subscription);
}

Outcome run_command(Session& session, const SubscriptionReset& command) {
  const std::int32_t partition =
      command.partition ? static_cast<std::int32_t>(*command.partition) : -1;
  const Status reset = session.client.admin().reset_subscription(
      command.topic, command.subscription, *command.to, partition);
  if (!reset) return std::unexpected(reset.error());
  return describe(session, command.topic, command.subscription);
}

Outcome run_command(Session& session, const SubscriptionDelete& command) {
  const Status deleted =
      session.client.admin().delete_subscription(command.topic, command.subscription);
  if (!deleted) return std::unexpected(deleted.error());
  return print(
      session.json()
          ? json_line({{"deleted", command.subscription}, {"topic", topic_url(command.topic)}})
          : "deleted " + subscription_of(command.subscription, command.topic) + '\n');
}

Outcome run_command(Session& session, const NodeStatus&) {
  return show(session, session.client.admin().node_status(), &node_json, &node_table);
}

}  // namespace andyx::cli
