#include "server/handlers/subscription_describe.h"

#include <algorithm>

#include "frame_generated.h"
#include "server/handlers/consumers_view.h"
#include "server/handlers/handlers.h"
#include "server/handlers/subscription_start.h"

namespace andyx::server {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;

struct PartitionView {
  Offset start = 0;
  SubscriptionCore::Stats stats;
  std::string blocked = "it is not open at its main";  // until something else is known
  std::uint64_t lag_bytes = 0;
  std::uint64_t lag_ms = 0;
};

struct Description {
  std::shared_ptr<const Topic> topic;
  std::shared_ptr<const SubscriptionRecord> record;
  std::vector<PartitionView> partitions;  // each written by its loop only, or by the asker's
  ConsumersView consumers;

  bool shared() const { return record->type == protocol::SubscriptionType::shared; }
  const PartitionRecord& coordinating() const { return topic->partitions()[record->coordinator]; }
};
using Describing = std::shared_ptr<Description>;

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

void look_at(Partition& partition, Description& to, std::uint32_t index,
             const std::shared_ptr<void>& keep) {
  auto* subscription = partition.find_subscription(to.record->id);
  if (subscription == nullptr) return;
  const SubscriptionCore& core = subscription->core();
  PartitionView& view = to.partitions[index];
  view.start = partition.core().start_offset();
  view.stats = core.stats();
  view.blocked = core.blocked();
  measure_lag(partition, core, view, keep);
}

// At the coordinator's loop, where this node has it.
void look_at_consumers(CoreLoop& here, const Describing& to, const std::shared_ptr<void>& keep) {
  CoreLoop& coordinator = coordinator_loop(here.node(), *to->topic, *to->record);
  coordinator.net_loop().post([&coordinator, to, keep] {
    to->consumers = view_of(coordinator.find_coordinator(to->record->id));
  });
}

// ---- From and to the wire ----

void take(const protocol::SubscriptionPartitionInfo& info, PartitionView& view) {
  view.start = info.start_offset();
  view.stats.committed = info.committed_offset();
  view.stats.floor = info.floor();
  view.stats.answered_above_floor = info.answered_above_floor();
  view.stats.in_flight = info.in_flight();
  view.stats.waiting_redelivery = info.waiting_redelivery();
  view.stats.skipped = info.skipped();
  view.stats.lag = info.lag_messages();
  view.stats.credit_messages = info.credit_messages();
  view.stats.credit_bytes = info.credit_bytes();
  view.stats.delayed = info.delayed();
  view.stats.dead_lettered = info.dead_lettered();
  view.blocked = info.blocked() ? info.blocked()->str() : std::string();
  view.lag_bytes = info.lag_bytes();
  view.lag_ms = info.lag_ms();
}

// What another node says of its partitions, and of the consumers where it coordinates them.
void take_share(const MainShare& share, const Result<NodeFrame>& answer, Description& to) {
  const bool coordinates = share.node == to.coordinating().main;
  if (!answer) {
    const std::string why = main_is_silent(share.node, answer.error());
    for (const std::uint32_t index : share.partitions) to.partitions[index].blocked = why;
    if (coordinates) to.consumers.note = "of the coordinating partition, " + why;
    return;
  }
  const auto* reply = answer->frame->body_as_SubscriptionReply();
  if (reply == nullptr || reply->subscriptions() == nullptr || reply->subscriptions()->size() != 1)
    return;
  const auto* info = reply->subscriptions()->Get(0);
  if (coordinates) to.consumers = view_of(*info, to.shared());
  if (info->partitions() == nullptr) return;
  for (const auto* one : *info->partitions()) {
    if (one->partition() < to.partitions.size()) take(*one, to.partitions[one->partition()]);
  }
}

// All partitions, or `only` these.
void send(const Description& from, const std::vector<std::uint32_t>* only, std::size_t most,
          Reply reply) {
  reply.body(protocol::Body::SubscriptionReply, [&](Builder& builder) {
    ConsumersWriter consumers(builder, from.consumers, from.shared(),
                              static_cast<std::uint32_t>(from.partitions.size()), most);
    std::vector<flatbuffers::Offset<protocol::SubscriptionPartitionInfo>> partitions;
    for (std::uint32_t index = 0; index < from.partitions.size(); ++index) {
      if (only != nullptr && std::ranges::find(*only, index) == only->end()) continue;
      const PartitionView& view = from.partitions[index];
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
    auto info =
        make_subscription_info(builder, *from.topic, *from.record, builder.CreateVector(partitions),
                               attached, from.consumers.note);
    return protocol::CreateSubscriptionReply(builder, builder.CreateVector({info}));
  });
}

Describing begin(std::shared_ptr<const Topic> topic,
                 std::shared_ptr<const SubscriptionRecord> record) {
  auto description = std::make_shared<Description>();
  description->topic = std::move(topic);
  description->record = std::move(record);
  description->partitions.resize(description->topic->partitions().size());
  return description;
}

// For another node: of these partitions, as far as this one is their main.
void describe_local(CoreLoop& here, std::shared_ptr<const Topic> topic,
                    std::shared_ptr<const SubscriptionRecord> record,
                    std::vector<std::uint32_t> only, bool with_consumers, Reply reply) {
  auto to = begin(std::move(topic), std::move(record));
  std::shared_ptr<void> all = std::make_shared<OnLastRelease>(
      here, [to, only = std::move(only), reply = std::move(reply)]() mutable {
        send(*to, &only, limits::kMaxConsumersPerSubscription, std::move(reply));
      });
  if (with_consumers) look_at_consumers(here, to, all);
  for_each_partition(
      here, to->topic,
      [to, all](Partition& partition, std::uint32_t index) { look_at(partition, *to, index, all); },
      [all] {});
}

}  // namespace

flatbuffers::Offset<protocol::SubscriptionInfo> make_subscription_info(
    Builder& builder, const Topic& topic, const SubscriptionRecord& record,
    Tables<protocol::SubscriptionPartitionInfo> partitions,
    Tables<protocol::ConsumerInfo> consumers, const std::string& note) {
  auto path = builder.CreateString(topic.name.path());
  auto name = builder.CreateString(record.name);
  flatbuffers::Offset<flatbuffers::String> why;
  if (!note.empty()) why = builder.CreateString(note);
  return protocol::CreateSubscriptionInfo(builder, path, name, record.id, record.type, record.mode,
                                          record.created_us, partitions, record.key_ordered,
                                          consumers, why);
}

void describe_subscription(CoreLoop& here, std::shared_ptr<const Topic> topic,
                           std::shared_ptr<const SubscriptionRecord> record, Reply reply) {
  auto to = begin(std::move(topic), std::move(record));
  std::shared_ptr<void> all =
      std::make_shared<OnLastRelease>(here, [to, reply = std::move(reply)]() mutable {
        send(*to, nullptr, kMaxConsumersShown, std::move(reply));
      });
  if (to->coordinating().main == here.node().config.node_id) look_at_consumers(here, to, all);
  MainsGathering gathering;
  gathering.visit = [to](Partition& partition, std::uint32_t index, const auto& keep) {
    look_at(partition, *to, index, keep);
  };
  gathering.remote = [to](Builder& builder, const MainShare& share, Position version) {
    return node_body(protocol::Body::SubscriptionDescribe,
                     protocol::CreateSubscriptionDescribeDirect(
                         builder, to->topic->name.path().c_str(), to->record->name.c_str(),
                         &share.partitions, share.node == to->coordinating().main, version));
  };
  gathering.answered = [to](const MainShare& share, const Result<NodeFrame>& answer) {
    take_share(share, answer, *to);
  };
  gather(here, to->topic, std::move(gathering), [all] {});
}

void handle(ClientConnection& client, const protocol::SubscriptionDescribe& body, Reply reply) {
  CoreLoop& here = client.loop();
  std::string name = body.name()->str();
  if (body.local_partitions() != nullptr) {
    if (!require_node(client, reply)) return;
    std::vector<std::uint32_t> only(body.local_partitions()->begin(),
                                    body.local_partitions()->end());
    return after_image(
        here, body.version(),
        [&here, path = body.topic()->str(), name = std::move(name), only = std::move(only),
         with_consumers = body.local_consumers(), reply = std::move(reply)](Status known) mutable {
          if (!known) return reply.error(known.error());
          auto topic = find_topic(here, path, reply);
          if (!topic) return;
          auto record = find_subscription(*topic, name, reply);
          if (!record) return;
          describe_local(here, std::move(topic), std::move(record), std::move(only), with_consumers,
                         std::move(reply));
        });
  }
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  auto record = find_subscription(*topic, name, reply);
  if (record) describe_subscription(here, std::move(topic), std::move(record), std::move(reply));
}

}  // namespace andyx::server
