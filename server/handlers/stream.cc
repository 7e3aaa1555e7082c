// The flow of one partition to one consumer: open, close, credit, answers.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {
namespace {

// Runs `work(subscription)` on the stream's loop.
template <typename Work>
void on_stream(CoreLoop& here, const StreamRoute& route, Work work) {
  auto run = [route, work = std::move(work)]() mutable {
    auto* partition = route.owner->find_partition(route.partition);
    work(partition == nullptr ? nullptr : partition->find_subscription(route.subscription));
  };
  if (route.owner == &here)
    run();
  else
    route.owner->net_loop().post(std::move(run));
}

}  // namespace

void handle(ClientConnection& client, const protocol::StreamOpen& body, Reply reply) {
  CoreLoop& here = client.loop();
  const PartitionRecord* record = here.image().find_partition(body.topic_id(), body.partition());
  // A number used again (the server had ended that stream, or the client starts anew) names the new
  // one.
  client.close_stream(body.stream());
  if (client.streams().size() >= limits::kMaxStreamsPerConnection) {
    return reply.error({ErrorCode::kLimitReached,
                        "a connection has at most " +
                            std::to_string(limits::kMaxStreamsPerConnection) + " streams"});
  }
  if (record != nullptr) {
    client.streams().emplace(
        body.stream(), StreamRoute{&here.node().loop_of(record->partition_id), record->partition_id,
                                   body.subscription_id()});
  }
  if (body.ack_timeout_ms() > limits::kMaxAckTimeoutMs) {
    return reply.error(
        {ErrorCode::kBadArgument,
         "an ack timeout is at most " + std::to_string(limits::kMaxAckTimeoutMs) + " ms"});
  }
  const SubscriptionCore::StreamOptions options{
      .attach_epoch = body.attach_epoch(),
      .credit_bytes = body.credit_bytes(),
      .credit_messages = body.credit_messages(),
      .ack_timeout_us = std::uint64_t{body.ack_timeout_ms()} * 1'000,
      .max_deliveries = body.max_deliveries()};
  StreamTarget target{&here, client.id(), body.stream(), client.gate()};
  with_partition(
      here, body.topic_id(), body.partition(), std::move(reply),
      [target = std::move(target), id = body.subscription_id(), options](Partition& partition,
                                                                         Reply owed) mutable {
        // As the partition's loop knows the topic: it ends all streams when it learns
        // otherwise.
        if (const auto topic = partition.loop().image().find_topic(partition.topic_id())) {
          if (auto active = check_active(*topic); !active) return owed.error(active.error());
        }
        if (!partition.serving()) return owed.error(partition.not_main());
        // New attaches wait for the controller: another node may be main by now.
        if (!partition.replicated_log(false).heard_controller())
          return owed.error({ErrorCode::kNotMain,
                             partition.describe() + ": this node is cut off from the controller"});
        auto* subscription = partition.find_subscription(id);
        if (subscription == nullptr || !subscription->ready()) {
          return owed.error(
              {ErrorCode::kUnknownSubscription,
               partition.describe() + " has no subscription of id " + std::to_string(id)});
        }
        subscription->open_stream(std::move(target), options, std::move(owed));
      });
}

void handle(ClientConnection& client, const protocol::StreamClose& body, Reply reply) {
  auto found = client.streams().find(body.stream());
  if (found == client.streams().end()) return reply.done();  // idempotent
  StreamRoute route = found->second;
  client.streams().erase(found);
  on_stream(client.loop(), route,
            [key = StreamKey{client.id(), body.stream()},
             reply = std::move(reply)](Subscription* subscription) mutable {
              if (subscription != nullptr) subscription->close_stream(key);
              reply.done();
            });
}

void handle(ClientConnection& client, const protocol::Credit& body, Reply reply) {
  reply.none();
  auto found = client.streams().find(body.stream());
  if (found == client.streams().end()) return;
  on_stream(client.loop(), found->second,
            [key = StreamKey{client.id(), body.stream()}, bytes = body.bytes(),
             messages = body.messages()](Subscription* subscription) {
              if (subscription != nullptr) subscription->credit(key, bytes, messages);
            });
}

void handle(ClientConnection& client, const protocol::Answer& body, SharedBytes, Reply reply) {
  auto found = client.streams().find(body.stream());
  if (found == client.streams().end()) {
    return reply.error({ErrorCode::kUnknownStream, "stream " + std::to_string(body.stream()) +
                                                       " is not open on this connection"});
  }
  if (body.kind() > protocol::AnswerKind::MAX)
    return reply.error({ErrorCode::kBadArgument, "unknown kind of answer"});
  if (body.ranges()->size() > limits::kMaxRangesPerAnswer) {
    return reply.error(
        {ErrorCode::kBadArgument,
         "more than " + std::to_string(limits::kMaxRangesPerAnswer) + " ranges in one answer"});
  }
  if (body.delay_ms() > limits::kMaxRedeliveryDelayMs) {
    return reply.error(
        {ErrorCode::kBadArgument,
         "a delay is at most " + std::to_string(limits::kMaxRedeliveryDelayMs) + " ms"});
  }
  std::vector<OffsetRange> ranges;
  ranges.reserve(body.ranges()->size());
  for (const auto* range : *body.ranges()) ranges.push_back({range->first(), range->last()});
  on_stream(
      client.loop(), found->second,
      [key = StreamKey{client.id(), body.stream()}, kind = body.kind(), ranges = std::move(ranges),
       delay_ms = body.delay_ms(), reply = std::move(reply)](Subscription* subscription) mutable {
        if (subscription == nullptr)
          return reply.error({ErrorCode::kUnknownStream, "the subscription is gone"});
        subscription->answer(key, kind, ranges, delay_ms, std::move(reply));
      });
}

}  // namespace andyx::server
