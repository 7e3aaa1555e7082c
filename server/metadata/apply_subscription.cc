#include "common_generated.h"
#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"
#include "server/metadata/content_hash.h"

namespace andyx::server {
namespace {

Status check_values(const wire::CreateSubscription& command) {
  const auto out_of_range = [](std::string_view what, std::uint8_t value) {
    return fail(ErrorCode::kBadArgument, "subscription " + std::string(what) + " " +
                                             std::to_string(value) + " is not known");
  };
  if (command.type() > static_cast<std::uint8_t>(protocol::SubscriptionType::MAX)) {
    return out_of_range("type", command.type());
  }
  if (command.mode() > static_cast<std::uint8_t>(protocol::SubscriptionMode::MAX)) {
    return out_of_range("mode", command.mode());
  }
  if (command.start_kind() > static_cast<std::uint8_t>(protocol::StartKind::MAX)) {
    return out_of_range("start", command.start_kind());
  }
  if (command.start_value() < 0) {
    return fail(ErrorCode::kBadArgument, "the start of a subscription is not negative, as " +
                                             std::to_string(command.start_value()) + " is");
  }
  if (command.key_ordered() &&
      command.type() != static_cast<std::uint8_t>(protocol::SubscriptionType::shared)) {
    return fail(ErrorCode::kBadArgument, "only a shared subscription can be key-ordered");
  }
  return {};
}

// hash(subscription) mod N.
std::uint32_t coordinating_partition(SubscriptionId id, std::size_t partitions) {
  return static_cast<std::uint32_t>(ContentHash().number(id).finish() % partitions);
}

Status check_create(const Image& image, const Topic& topic,
                    const wire::CreateSubscription& command) {
  const auto name = command.name()->string_view();
  if (auto status = check_name(name, "the subscription name"); !status) return status;
  if (auto status = check_values(command); !status) return status;
  if (const auto existing = topic.subscriptions.find(name)) {
    const std::string which = "subscription " + existing->name + " on topic " + topic.name.path();
    if (static_cast<std::uint8_t>(existing->type) != command.type() ||
        static_cast<std::uint8_t>(existing->mode) != command.mode() ||
        existing->key_ordered != command.key_ordered()) {
      return fail(ErrorCode::kSubscriptionConflict,
                  which + " is " + protocol::EnumNameSubscriptionType(existing->type) + " and " +
                      protocol::EnumNameSubscriptionMode(existing->mode) +
                      (existing->key_ordered ? ", key-ordered" : ""));
    }
    return fail(ErrorCode::kSubscriptionExists, which + " exists already");
  }
  if (topic.subscriptions.size() >= limits::kMaxSubscriptionsPerTopic) {
    return fail(ErrorCode::kLimitReached,
                "topic " + topic.name.path() + " has " +
                    std::to_string(topic.subscriptions.size()) +
                    " subscriptions, the most that max-subscriptions-per-topic allows");
  }
  if (image.subscription_count >= limits::kMaxSubscriptions) {
    return fail(ErrorCode::kLimitReached,
                "the cluster has " + std::to_string(image.subscription_count) +
                    " subscriptions, the most that max-subscriptions allows");
  }
  return {};
}

Outcome unknown_topic(TopicId id) {
  return refused(ErrorCode::kUnknownTopic, "there is no topic with id " + std::to_string(id));
}

}  // namespace

Outcome apply_command(Image& image, const wire::CreateSubscription& command, TimeUs time_us) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) return unknown_topic(command.topic_id());
  if (auto status = check_create(image, *topic, command); !status) return {.status = status};

  SubscriptionRecord record;
  record.id = image.next_subscription_id++;
  record.name = command.name()->str();
  record.type = static_cast<protocol::SubscriptionType>(command.type());
  record.mode = static_cast<protocol::SubscriptionMode>(command.mode());
  record.start_kind = static_cast<protocol::StartKind>(command.start_kind());
  record.start_value = command.start_value();
  record.created_us = time_us;
  record.key_ordered = command.key_ordered();
  record.coordinator = coordinating_partition(record.id, topic->partitions().size());
  record.initial_partitions = static_cast<std::uint32_t>(topic->partitions().size());
  const SubscriptionId id = record.id;
  Topic changed = *topic;
  changed.subscriptions.put(std::make_shared<const SubscriptionRecord>(std::move(record)));
  put_topic(image, std::move(changed));
  ++image.subscription_count;
  return {.status = {}, .result = id};
}

Outcome apply_command(Image& image, const wire::DeleteSubscription& command, TimeUs) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) return unknown_topic(command.topic_id());
  for (const SubscriptionRecord& subscription : topic->subscriptions) {
    if (subscription.id != command.subscription_id()) continue;
    Topic changed = *topic;
    changed.subscriptions.erase(std::string_view(subscription.name));
    put_topic(image, std::move(changed));
    --image.subscription_count;
    return {};
  }
  return refused(ErrorCode::kUnknownSubscription, "topic " + topic->name.path() +
                                                      " has no subscription with id " +
                                                      std::to_string(command.subscription_id()));
}

}  // namespace andyx::server
