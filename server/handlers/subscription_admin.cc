// Subscription create, delete, list, describe, reset.
#include <map>

#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"
#include "server/handlers/subscription_start.h"

namespace andyx::server {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
template <typename Table>
using Tables = flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Table>>>;

flatbuffers::Offset<protocol::SubscriptionInfo> make_info(
    Builder& builder, const Topic& topic, const SubscriptionRecord& record,
    Tables<protocol::SubscriptionPartitionInfo> partitions = 0,
    Tables<protocol::ConsumerInfo> consumers = 0) {
  auto path = builder.CreateString(topic.name.path());
  auto name = builder.CreateString(record.name);
  return protocol::CreateSubscriptionInfo(builder, path, name, record.id, record.type, record.mode,
                                          record.created_us, partitions, record.key_ordered,
                                          consumers);
}

struct PartitionView {
  bool found = false;
  Offset start = 0;
  SubscriptionCore::Stats stats;
  std::string blocked;
  std::uint64_t lag_bytes = 0;
  std::uint64_t lag_ms = 0;
};

// Of the oldest unanswered message: its age, and what is stored from it on. Perhaps later, on the
// partition's loop; `view` is kept by what `keep` holds.
void measure_lag(Partition& partition, const SubscriptionCore& core, PartitionView& view,
                 const std::shared_ptr<void>& keep) {
  const Offset oldest = core.oldest_unanswered();
  if (oldest >= partition.core().committed_offset()) return;
  partition.age_of(oldest, [&view, keep](Result<TimeUs> appended_us) {
    if (!appended_us) return;
    const TimeUs age_us = net::wall_time_us() - *appended_us;
    view.lag_ms = static_cast<std::uint64_t>(std::max<TimeUs>(age_us, 1'000)) / 1'000;
  });
  partition.bytes_from(oldest, [&view, keep](Result<std::uint64_t> bytes) {
    if (bytes) view.lag_bytes = *bytes;
  });
}

// Who is attached, and where they are active. What all share is written once.
class ConsumersWriter {
 public:
  ConsumersWriter(Builder& builder, const Coordinator* coordinator)
      : builder_(builder), coordinator_(coordinator) {
    if (coordinator == nullptr) return;
    std::string all;
    for (const AttachedConsumer& consumer : coordinator->core().consumers()) {
      if (shared() && all.size() < kMaxNamesBytes) all += (all.empty() ? "" : ",") + consumer.name;
      names_.emplace(consumer.attach_epoch, builder.CreateString(consumer.name));
    }
    if (shared()) all_names_ = builder.CreateString(all);
  }

  flatbuffers::Offset<flatbuffers::String> active_on(std::uint32_t partition) {
    if (coordinator_ == nullptr) return nobody();
    if (shared()) return all_names_;
    const auto found = names_.find(coordinator_->core().active(partition));
    return found == names_.end() ? nobody() : found->second;
  }

  Tables<protocol::ConsumerInfo> all() {
    std::vector<flatbuffers::Offset<protocol::ConsumerInfo>> infos;
    if (coordinator_ == nullptr) return builder_.CreateVector(infos);
    std::map<std::uint64_t, std::vector<std::uint32_t>> active;
    for (std::uint32_t index = 0; index < coordinator_->core().partitions(); ++index)
      active[shared() ? 0 : coordinator_->core().active(index)].push_back(index);
    flatbuffers::Offset<flatbuffers::Vector<std::uint32_t>> of_all;
    if (shared()) of_all = builder_.CreateVector(active[0]);
    for (const AttachedConsumer& consumer : coordinator_->core().consumers()) {
      if (infos.size() == kMaxConsumersShown) break;
      const auto& place = coordinator_->place(consumer.attach_epoch);
      const auto address = builder_.CreateString(place.address);
      const auto partitions =
          shared() ? of_all : builder_.CreateVector(active[consumer.attach_epoch]);
      infos.push_back(protocol::CreateConsumerInfo(
          builder_, names_.at(consumer.attach_epoch), address, consumer.priority,
          static_cast<std::int64_t>(place.attached_us), partitions));
    }
    return builder_.CreateVector(infos);
  }

 private:
  // A frame may hold limits::kFrameVerifyTables tables, and partitions take half of them.
  static constexpr std::size_t kMaxConsumersShown = 5'000;
  static constexpr std::size_t kMaxNamesBytes = 4 * limits::kKiB;

  bool shared() const { return coordinator_->core().shared(); }
  flatbuffers::Offset<flatbuffers::String> nobody() {
    if (nobody_.IsNull()) nobody_ = builder_.CreateString("");
    return nobody_;
  }

  Builder& builder_;
  const Coordinator* coordinator_;
  std::map<std::uint64_t, flatbuffers::Offset<flatbuffers::String>> names_;  // by attach epoch
  flatbuffers::Offset<flatbuffers::String> all_names_, nobody_;
};

void send_description(const Topic& topic, const SubscriptionRecord& record,
                      const std::vector<PartitionView>& views, const Coordinator* coordinator,
                      Reply reply) {
  reply.body(protocol::Body::SubscriptionReply, [&](Builder& builder) {
    ConsumersWriter consumers(builder, coordinator);
    std::vector<flatbuffers::Offset<protocol::SubscriptionPartitionInfo>> partitions;
    for (std::uint32_t index = 0; index < views.size(); ++index) {
      const PartitionView& view = views[index];
      if (!view.found) continue;
      const auto& stats = view.stats;
      auto attached = consumers.active_on(index);
      auto blocked = builder.CreateString(view.blocked);
      partitions.push_back(protocol::CreateSubscriptionPartitionInfo(
          builder, index, view.start, stats.committed, stats.floor, stats.answered_above_floor,
          stats.in_flight, stats.waiting_redelivery, stats.skipped, stats.lag, attached,
          stats.credit_messages, stats.credit_bytes, blocked, stats.delayed, stats.dead_lettered,
          view.lag_bytes, view.lag_ms));
    }
    auto attached = consumers.all();
    auto info = make_info(builder, topic, record, builder.CreateVector(partitions), attached);
    return protocol::CreateSubscriptionReply(builder, builder.CreateVector({info}));
  });
}

// From every partition its state, from the coordinator who is attached.
void describe(CoreLoop& here, std::shared_ptr<const Topic> topic,
              std::shared_ptr<const SubscriptionRecord> record, Reply reply) {
  auto views = std::make_shared<std::vector<PartitionView>>(topic->partitions().size());
  auto answer = [&here, topic, record, views, reply = std::move(reply)]() mutable {
    CoreLoop& coordinator = coordinator_loop(here.node(), *topic, *record);
    coordinator.net_loop().post(
        [&coordinator, topic, record, views, reply = std::move(reply)]() mutable {
          send_description(*topic, *record, *views, coordinator.find_coordinator(record->id),
                           std::move(reply));
        });
  };
  auto all_done = std::make_shared<OnLastRelease>(here, std::move(answer));
  auto visit = [views, all_done, id = record->id](Partition& partition, std::uint32_t index) {
    auto* subscription = partition.find_subscription(id);
    if (subscription == nullptr) return;
    const SubscriptionCore& core = subscription->core();
    PartitionView& view = (*views)[index];
    view = {true, partition.core().start_offset(), core.stats(), std::string(core.blocked())};
    measure_lag(partition, core, view, all_done);
  };
  for_each_partition(here, topic, visit, [all_done] {});
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

}  // namespace

void handle(ClientConnection& client, const protocol::SubscriptionCreate& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  auto spec = subscription_spec(body.name()->string_view(), body.type(), body.mode(), body.start(),
                                body.key_ordered());
  if (!spec) return reply.error(spec.error());
  here.node().controller->create_subscription(
      *name, *spec,
      [&here, name = *name,
       reply = std::move(reply)](Result<std::shared_ptr<const SubscriptionRecord>> record) mutable {
        if (!record) return reply.error(record.error());
        when_started(
            here, name, *record,
            [&here, name, record = *record, reply = std::move(reply)](Status started) mutable {
              if (!started) return reply.error(started.error());
              auto topic = here.image().find_topic(name);
              if (!topic) return reply.error({ErrorCode::kUnknownTopic, "the topic was deleted"});
              describe(here, std::move(topic), std::move(record), std::move(reply));
            });
      });
}

void handle(ClientConnection& client, const protocol::SubscriptionDelete& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  here.node().controller->delete_subscription(
      *name, body.name()->str(), [&here, reply = std::move(reply)](Status deleted) mutable {
        if (!deleted) return reply.error(deleted.error());
        after_all_loops(here.node(), here, [reply = std::move(reply)]() mutable { reply.done(); });
      });
}

void handle(ClientConnection& client, const protocol::SubscriptionList& body, Reply reply) {
  auto topic = find_topic(client.loop(), body.topic()->string_view(), reply);
  if (!topic) return;
  reply.body(protocol::Body::SubscriptionReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<protocol::SubscriptionInfo>> infos;
    for (const SubscriptionRecord& record : topic->subscriptions)
      infos.push_back(make_info(builder, *topic, record));
    return protocol::CreateSubscriptionReply(builder, builder.CreateVector(infos));
  });
}

void handle(ClientConnection& client, const protocol::SubscriptionDescribe& body, Reply reply) {
  auto topic = find_topic(client.loop(), body.topic()->string_view(), reply);
  if (!topic) return;
  auto record = find_subscription(*topic, body.name()->string_view(), reply);
  if (record) describe(client.loop(), std::move(topic), std::move(record), std::move(reply));
}

void handle(ClientConnection& client, const protocol::SubscriptionReset& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  auto record = find_subscription(*topic, body.name()->string_view(), reply);
  if (!record) return;
  if (body.to()->kind() > protocol::StartKind::MAX)
    return reply.error({ErrorCode::kBadArgument, "unknown start position"});
  if (body.partition() >= 0 &&
      static_cast<std::size_t>(body.partition()) >= topic->partitions().size()) {
    return reply.error({ErrorCode::kUnknownPartition,
                        "the topic has no partition " + std::to_string(body.partition())});
  }
  auto outcome = std::make_shared<FirstError>();
  auto all_done =
      std::make_shared<OnLastRelease>(here, [outcome, reply = std::move(reply)]() mutable {
        if (auto error = outcome->get())
          reply.error(*error);
        else
          reply.done();
      });
  auto visit = [only = body.partition(), id = record->id, kind = body.to()->kind(),
                value = body.to()->value(), outcome,
                all_done](Partition& partition, std::uint32_t index) {
    if (only >= 0 && static_cast<std::uint32_t>(only) != index) return;
    partition.resolve(
        kind, value,
        [keep = partition.shared_from_this(), id, outcome, all_done](Result<Offset> to) {
          auto* subscription = keep->find_subscription(id);
          if (subscription == nullptr)
            return outcome->note(fail(ErrorCode::kUnknownSubscription, "it was deleted"));
          if (!to) return outcome->note(std::unexpected(to.error()));
          subscription->reset(*to, [outcome, all_done](Status done) { outcome->note(done); });
        });
  };
  for_each_partition(here, topic, visit, [all_done] {});
}

}  // namespace andyx::server
