// What creating and attaching share: the start position from the wire, the loop that coordinates,
// and waiting until every partition has fixed its start.
#pragma once

#include <mutex>
#include <optional>
#include <string_view>

#include "server/handlers/routing.h"
#include "subscription_generated.h"

namespace andyx::server {

Result<SubscriptionSpec> subscription_spec(std::string_view name, protocol::SubscriptionType type,
                                           protocol::SubscriptionMode mode,
                                           const protocol::Start* start);

// The loop of partition hash(subscription) mod N, with the N that the topic was created with: who
// is attached stays known when partitions are added.
CoreLoop& coordinator_loop(Node& node, const Topic& topic, SubscriptionId subscription);

// `started` runs on `home` when the start of the subscription is fixed and durable on every
// partition. Control loop or `home`.
void when_started(CoreLoop& home, TopicName topic, std::shared_ptr<const SubscriptionRecord> record,
                  std::move_only_function<void(Status)> started);

// The first error of several loops' work. Any thread.
class FirstError {
 public:
  void note(const Status& status);
  std::optional<Error> get() const;

 private:
  mutable std::mutex mutex_;
  std::optional<Error> error_;
};

}  // namespace andyx::server
