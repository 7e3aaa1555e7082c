#include "server/handlers/subscription_start.h"

#include <algorithm>

#include "frame_generated.h"
#include "server/handlers/first_error.h"

namespace andyx::server {

Result<SubscriptionSpec> subscription_spec(std::string_view name, protocol::SubscriptionType type,
                                           protocol::SubscriptionMode mode,
                                           const protocol::Start* start, bool key_ordered) {
  if (auto checked = check_name(name, "subscription"); !checked)
    return std::unexpected(checked.error());
  if (type > protocol::SubscriptionType::MAX || mode > protocol::SubscriptionMode::MAX) {
    return fail(ErrorCode::kBadArgument, "unknown subscription type or mode");
  }
  if (key_ordered && type != protocol::SubscriptionType::shared)
    return fail(ErrorCode::kBadArgument, "only a shared subscription can be key-ordered");
  SubscriptionSpec spec{.name = std::string(name),
                        .type = type,
                        .mode = mode,
                        .start_kind = protocol::StartKind::earliest,
                        .key_ordered = key_ordered};
  if (start != nullptr) {
    if (start->kind() > protocol::StartKind::MAX)
      return fail(ErrorCode::kBadArgument, "unknown start position");
    spec.start_kind = start->kind();
    spec.start_value = start->value();
  }
  return spec;
}

std::shared_ptr<const SubscriptionRecord> find_subscription(const Topic& topic,
                                                            std::string_view name, Reply& reply) {
  auto record = topic.subscriptions.find(name);
  if (!record) {
    reply.error({ErrorCode::kUnknownSubscription,
                 "topic " + topic.name.url() + " has no subscription " + std::string(name)});
  }
  return record;
}

CoreLoop& coordinator_loop(Node& node, const Topic& topic, const SubscriptionRecord& subscription) {
  return node.loop_of(topic.partitions()[subscription.coordinator].partition_id);
}

Status check_coordinator(const Image& image, NodeId self, TopicId topic,
                         const SubscriptionRecord& subscription) {
  const PartitionRecord* record = image.find_partition(topic, subscription.coordinator);
  if (record == nullptr) return fail(ErrorCode::kUnknownTopic, "the topic was deleted");
  return check_main(*record, self, "the coordinator of subscription " + subscription.name);
}

// ---- Its start ----

void when_started(CoreLoop& home, TopicName name, std::shared_ptr<const SubscriptionRecord> record,
                  StatusDone started) {
  after_all_loops(home.node(), home,
                  [&home, name = std::move(name), record, started = std::move(started)]() mutable {
                    auto topic = home.image().find_topic(name);
                    if (!topic)
                      return started(fail(ErrorCode::kUnknownTopic, name.url() + " was deleted"));
                    when_ready_on_mains(home, topic->id, record->id, 0,
                                        static_cast<std::uint32_t>(topic->partitions().size()),
                                        std::move(started));
                  });
}

void when_ready_on_mains(CoreLoop& home, TopicId topic, SubscriptionId subscription,
                         std::uint32_t from, std::uint32_t to, StatusDone ready) {
  MainsQuestion question;
  question.topic = topic;
  question.once = true;
  question.from = from;
  question.to = to;
  question.local = [topic, subscription](CoreLoop& here, const MainShare& share, Position version,
                                         StatusDone done) {
    after_image(here, version,
                [&here, topic, subscription, partitions = share.partitions,
                 done = std::move(done)](Status known) mutable {
                  if (!known) return done(std::move(known));
                  ready_here(here, topic, subscription, partitions, std::move(done));
                });
  };
  question.remote = [topic, subscription](flatbuffers::FlatBufferBuilder& builder,
                                          const MainShare& share, Position version) {
    return node_body(protocol::Body::SubscriptionReady,
                     protocol::CreateSubscriptionReadyDirect(builder, topic, subscription,
                                                             &share.partitions, version));
  };
  ask_mains(home, std::move(question), std::move(ready));
}

void ready_here(CoreLoop& here, TopicId topic, SubscriptionId subscription,
                const std::vector<std::uint32_t>& partitions, StatusDone ready) {
  const auto known = here.image().find_topic(topic);
  if (!known)
    return ready(fail(ErrorCode::kUnknownTopic, "no topic has the id " + std::to_string(topic)));
  auto outcome = std::make_shared<FirstError>();
  auto count = std::make_shared<std::atomic<std::size_t>>(0);
  auto all = std::make_shared<OnLastRelease>(
      here, [outcome, count, wanted = partitions.size(), ready = std::move(ready)]() mutable {
        if (auto error = outcome->get()) return ready(std::unexpected(*error));
        if (count->load() == wanted) return ready({});
        ready(fail(ErrorCode::kNotMain, "not all of the partitions are open here as their main"));
      });
  auto wanted = std::make_shared<const std::vector<std::uint32_t>>(partitions);
  const auto visit = [wanted, subscription, outcome, count, all](Partition& partition,
                                                                 std::uint32_t index) {
    if (std::ranges::find(*wanted, index) == wanted->end()) return;
    if (subscription == 0) {
      // One that failed (a full disk) begins there when it is asked for again.
      for (const auto& [id, one] : partition.subscriptions()) one->when_ready([all](Status) {});
      ++*count;
      return;
    }
    partition.when_ready(subscription, [outcome, count, all](Status status) {
      outcome->note(status);
      if (status) ++*count;
    });
  };
  for_each_partition(here, known, visit, [all] {});
}

// ---- Taking a partition back ----

void revoke_here(CoreLoop& here, TopicId topic, std::uint32_t partition,
                 SubscriptionId subscription, std::uint64_t epoch, StatusDone drained) {
  const PartitionRecord* record = here.image().find_partition(topic, partition);
  if (record == nullptr)
    return drained(fail(ErrorCode::kUnknownPartition, "the partition was deleted"));
  // What stands when the partition lets go of the work without having said anything.
  auto outcome = std::make_shared<Status>(
      fail(ErrorCode::kNotMain, "the partition was closed on this node meanwhile"));
  auto said = std::make_shared<OnLastRelease>(
      here, [outcome, drained = std::move(drained)]() mutable { drained(std::move(*outcome)); });
  CoreLoop& owner = here.node().loop_of(record->partition_id);
  owner.net_loop().post([&owner, topic, partition, subscription, epoch, outcome, said] {
    const PartitionRecord* now = owner.image().find_partition(topic, partition);
    if (now == nullptr) return;
    *outcome = check_main(*now, owner.node().config.node_id, "the consumer of the partition");
    if (!*outcome) return;
    auto* open = owner.find_partition(now->partition_id);
    if (open == nullptr) {
      *outcome = fail(ErrorCode::kNotMain, "the partition is being opened");
    } else if (auto* found = open->find_subscription(subscription)) {
      *outcome = fail(ErrorCode::kNotMain, "the partition was closed on this node meanwhile");
      found->revoke(epoch, [outcome, said] { *outcome = Status{}; });
    }
  });
}

}  // namespace andyx::server
