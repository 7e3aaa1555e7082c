#include "tests/fault/workload/workload.h"

#include <algorithm>
#include <utility>

namespace andyx::test::fault {
namespace {

struct SubscriptionPlan {
  ConsumerPlan plan;
  std::uint32_t consumers = 1;
  Order order = Order::kNone;
};

std::vector<SubscriptionPlan> subscription_plans(bool light) {
  using Type = client::SubscriptionType;
  if (light) {
    return {
        {.plan = {.subscription = "flow"}, .order = Order::kPartition},
        {.plan = {.subscription = "spread", .type = Type::kShared, .unacknowledge_percent = 5},
         .consumers = 2},
    };
  }
  return {
      {.plan = {.subscription = "flow"}, .order = Order::kPartition},
      {.plan = {.subscription = "strict",
                .mode = client::SubscriptionMode::kResilient,
                .skip_percent = 10,
                .unacknowledge_percent = 2},
       .order = Order::kPartition},
      {.plan = {.subscription = "spare", .type = Type::kFailover},
       .consumers = 2,
       .order = Order::kPartition},
      {.plan = {.subscription = "spread",
                .type = Type::kShared,
                .skip_percent = 5,
                .unacknowledge_percent = 5},
       .consumers = 3},
      {.plan = {.subscription = "keys",
                .type = Type::kShared,
                .key_ordered = true,
                .unacknowledge_percent = 2},
       .consumers = 2},
  };
}

std::vector<ProducerPlan> producer_plans(const WorkloadOptions& options) {
  const client::Acks acks = options.acks;
  std::vector<ProducerPlan> plans;
  if (options.light) {
    for (std::uint32_t partition = 0; partition < options.partitions; ++partition) {
      plans.push_back({.acks = acks, .partition = partition, .every_ms = 50});
    }
    // Not acks `main`: during a move the set has two members, and the other one may be elected.
    plans.push_back({.name = "keyed", .acks = acks, .keyed = true, .every_ms = 50});
    return plans;
  }
  // One for each partition by itself, so that a partition that stands still holds up no other one:
  // these show the gaps.
  for (std::uint32_t partition = 0; partition < options.partitions; ++partition) {
    plans.push_back({.acks = acks, .partition = partition, .every_ms = 20});
  }
  plans.push_back({.name = "keyed", .acks = acks, .keyed = true, .linger_ms = 2, .every_ms = 20});
  plans.push_back({.name = "single",
                   .instance = client::ProducerInstance::kSingle,
                   .acks = acks,
                   .compression = client::Compression::kLz4,
                   .keyed = true,
                   .linger_ms = 3,
                   .every_ms = 30});
  plans.push_back({.name = "turns",
                   .acks = acks,
                   .compression = client::Compression::kZstd,
                   .linger_ms = 5,
                   .every_ms = 20,
                   .max_payload_bytes = 2'000});
  return plans;
}

}  // namespace

Cast cast_of(const WorkloadOptions& options) {
  Cast cast{.partitions = options.partitions, .subscriptions = {}, .readers = {}};
  for (const SubscriptionPlan& plan : subscription_plans(options.light)) {
    cast.subscriptions.push_back({plan.plan.subscription, plan.order});
  }
  for (const bool final : {false, true}) {
    for (std::size_t node = 1; node <= options.servers.size(); ++node) {
      cast.readers.push_back(
          {(final ? "at the end through node " : "through node ") + std::to_string(node), final});
    }
  }
  return cast;
}

Workload::Workload(History& history, WorkloadOptions options, std::uint64_t seed)
    : options_(std::move(options)), stage_(history, options_.servers, options_.topic) {
  add_consumers(seed);
  add_producers(seed);
  for (std::size_t node = 0; node < options_.servers.size(); ++node) {
    readers_.emplace_back(stage_, options_.servers[node], static_cast<ReaderId>(node),
                          options_.partitions, ++seed);
  }
}

void Workload::add_producers(std::uint64_t& seed) {
  for (ProducerPlan& plan : producer_plans(options_)) {
    producers_.emplace_back(stage_, std::move(plan), ++seed);
  }
}

void Workload::add_consumers(std::uint64_t& seed) {
  ConsumerId id = 0;
  SubscriptionIndex index = 0;
  for (const SubscriptionPlan& plan : subscription_plans(options_.light)) {
    Subscription& subscription =
        subscriptions_.emplace_back(plan.plan, std::make_unique<Progress>(options_.partitions));
    for (std::uint32_t i = 0; i < plan.consumers; ++i) {
      consumers_.emplace_back(stage_, plan.plan, index, id++, *subscription.progress, ++seed);
    }
    ++index;
  }
}

bool Workload::committed_since(std::uint32_t time_ms) const {
  for (const auto& last : stage_.last_commit_ms) {
    if (last <= time_ms) return false;
  }
  return true;
}

std::vector<Offset> Workload::acknowledged_ends() const {
  return {stage_.acknowledged_ends.begin(), stage_.acknowledged_ends.end()};
}

void Workload::stop_producers() {
  for (ProducerWorker& producer : producers_) producer.wind_down();
  for (ProducerWorker& producer : producers_) producer.stop();
}

bool Workload::read_to_the_end(std::size_t node) {
  const auto reader = static_cast<ReaderId>(options_.servers.size() + node);
  const auto ends = read_everything(stage_, options_.servers[node], reader, options_.partitions);
  if (ends) ends_ = *ends;
  return ends.has_value();
}

std::uint64_t Workload::undelivered() const {
  std::uint64_t count = 0;
  for (const Subscription& subscription : subscriptions_) {
    for (std::uint32_t partition = 0; partition < ends_.size(); ++partition) {
      const std::uint64_t got = subscription.progress->distinct(partition);
      count += ends_[partition] - std::min<std::uint64_t>(ends_[partition], got);
    }
  }
  return count;
}

std::string Workload::missing_deliveries() const {
  std::string text;
  for (const Subscription& subscription : subscriptions_) {
    for (std::uint32_t partition = 0; partition < ends_.size(); ++partition) {
      const std::uint64_t got = subscription.progress->distinct(partition);
      if (got >= ends_[partition]) continue;
      text += subscription.plan.subscription + " has " + std::to_string(got) + " of " +
              std::to_string(ends_[partition]) + " of partition " + std::to_string(partition) +
              "; ";
    }
  }
  return text;
}

void Workload::stop() {
  stop_producers();
  for (ReaderWorker& reader : readers_) reader.stop();
  for (ConsumerWorker& consumer : consumers_) consumer.stop();
}

}  // namespace andyx::test::fault
