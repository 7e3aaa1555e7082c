#include "server/handlers/subscription_start.h"

#include <xxhash.h>

namespace andyx::server {

Result<SubscriptionSpec> subscription_spec(std::string_view name, protocol::SubscriptionType type,
                                           protocol::SubscriptionMode mode,
                                           const protocol::Start* start) {
  if (auto checked = check_name(name, "subscription"); !checked)
    return std::unexpected(checked.error());
  if (type > protocol::SubscriptionType::MAX || mode > protocol::SubscriptionMode::MAX) {
    return fail(ErrorCode::kBadArgument, "unknown subscription type or mode");
  }
  if (type != protocol::SubscriptionType::unique) {
    return fail(ErrorCode::kBadArgument, "this version has subscriptions of type unique only");
  }
  SubscriptionSpec spec{.name = std::string(name),
                        .type = type,
                        .mode = mode,
                        .start_kind = protocol::StartKind::earliest};
  if (start != nullptr) {
    if (start->kind() > protocol::StartKind::MAX)
      return fail(ErrorCode::kBadArgument, "unknown start position");
    spec.start_kind = start->kind();
    spec.start_value = start->value();
  }
  return spec;
}

CoreLoop& coordinator_loop(Node& node, const Topic& topic, SubscriptionId subscription) {
  auto at = XXH3_64bits(&subscription, sizeof subscription) % topic.initial_partitions;
  return node.loop_of(topic.partitions()[at].partition_id);
}

void when_started(CoreLoop& home, TopicName name, std::shared_ptr<const SubscriptionRecord> record,
                  std::move_only_function<void(Status)> started) {
  after_all_loops(
      home.node(), home,
      [&home, name = std::move(name), record, started = std::move(started)]() mutable {
        auto topic = home.image().find_topic(name);
        if (!topic) return started(fail(ErrorCode::kUnknownTopic, name.url() + " was deleted"));
        auto outcome = std::make_shared<FirstError>();
        auto all_done = std::make_shared<OnLastRelease>(
            home, [outcome, started = std::move(started)]() mutable {
              auto error = outcome->get();
              started(error ? Status(std::unexpected(*error)) : Status{});
            });
        auto visit = [id = record->id, outcome, all_done](Partition& partition, std::uint32_t) {
          partition.when_ready(id, [outcome, all_done](Status ready) { outcome->note(ready); });
        };
        for_each_partition(home, topic, visit, [all_done] {});
      });
}

void FirstError::note(const Status& status) {
  std::lock_guard lock(mutex_);
  if (!status && !error_) error_ = status.error();
}

std::optional<Error> FirstError::get() const {
  std::lock_guard lock(mutex_);
  return error_;
}

}  // namespace andyx::server
