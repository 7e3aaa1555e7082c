// Subscription reset: on every partition, at its main.
#include <algorithm>
#include <optional>

#include "frame_generated.h"
#include "server/handlers/first_error.h"
#include "server/handlers/handlers.h"
#include "server/handlers/subscription_start.h"

namespace andyx::server {
namespace {

struct Resetting {
  std::shared_ptr<const Topic> topic;
  std::string subscription;
  SubscriptionId id = 0;
  protocol::Start to;
  std::vector<std::uint32_t> partitions;
};

// Those of which this node is main; `done` on `here`: kNotMain when it is not, of one.
void reset_here(CoreLoop& here, const Resetting& reset, StatusDone done) {
  auto outcome = std::make_shared<FirstError>();
  auto count = std::make_shared<std::atomic<std::size_t>>(0);
  auto all_done = std::make_shared<OnLastRelease>(
      here, [outcome, count, wanted = reset.partitions.size(), done = std::move(done)]() mutable {
        if (auto error = outcome->get()) return done(std::unexpected(*error));
        if (count->load() == wanted) return done({});
        done(fail(ErrorCode::kNotMain, "not all of the partitions are open at their main"));
      });
  const auto visit = [only = std::make_shared<const std::vector<std::uint32_t>>(reset.partitions),
                      id = reset.id, to = reset.to, outcome, count,
                      all_done](Partition& partition, std::uint32_t index) {
    if (std::ranges::find(*only, index) == only->end()) return;
    partition.resolve(
        to.kind(), to.value(),
        [keep = partition.shared_from_this(), id, outcome, count, all_done](Result<Offset> offset) {
          auto* subscription = keep->find_subscription(id);
          if (subscription == nullptr)
            return outcome->note(fail(ErrorCode::kUnknownSubscription, "it was deleted"));
          if (!offset) return outcome->note(std::unexpected(offset.error()));
          subscription->reset(*offset, [outcome, count, all_done](const Status& reset_done) {
            outcome->note(reset_done);
            if (reset_done) ++*count;
          });
        });
  };
  for_each_partition(here, reset.topic, visit, [all_done] {});
}

frame::Body reset_body(flatbuffers::FlatBufferBuilder& builder, const Resetting& reset,
                       const MainShare& share, Position version) {
  return node_body(protocol::Body::SubscriptionReset,
                   protocol::CreateSubscriptionResetDirect(
                       builder, reset.topic->name.path().c_str(), reset.subscription.c_str(),
                       &reset.to, -1, &share.partitions, version));
}

// All of them, or one. A main that may have done it and whose answer was lost is asked again: it
// then begins there once more.
void reset_on_mains(CoreLoop& here, const Resetting& reset, StatusDone done) {
  MainsQuestion question;
  question.topic = reset.topic->id;
  question.from = reset.partitions.front();
  question.to = reset.partitions.back() + 1;
  question.once = true;
  question.local = [reset](CoreLoop& home, const MainShare& share, Position, StatusDone answered) {
    Resetting mine = reset;
    mine.partitions = share.partitions;
    reset_here(home, mine, std::move(answered));
  };
  question.remote = [reset](flatbuffers::FlatBufferBuilder& builder, const MainShare& share,
                            Position version) {
    return reset_body(builder, reset, share, version);
  };
  ask_mains(here, std::move(question), std::move(done));
}

// What the request means; answers it where it means nothing.
std::optional<Resetting> read_reset(CoreLoop& here, const protocol::SubscriptionReset& body,
                                    Reply& reply) {
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return std::nullopt;
  auto record = find_subscription(*topic, body.name()->string_view(), reply);
  if (!record) return std::nullopt;
  const auto refuse = [&](ErrorCode code, std::string why) {
    reply.error({code, std::move(why)});
    return std::nullopt;
  };
  if (body.to()->kind() > protocol::StartKind::MAX)
    return refuse(ErrorCode::kBadArgument, "unknown start position");
  const auto count = static_cast<std::int64_t>(topic->partitions().size());
  if (body.partition() >= count) {
    return refuse(ErrorCode::kUnknownPartition,
                  "the topic has no partition " + std::to_string(body.partition()));
  }
  Resetting reset{.topic = std::move(topic),
                  .subscription = record->name,
                  .id = record->id,
                  .to = *body.to(),
                  .partitions = {}};
  if (body.local_partitions() != nullptr) {
    reset.partitions.assign(body.local_partitions()->begin(), body.local_partitions()->end());
  } else if (body.partition() >= 0) {
    reset.partitions.push_back(static_cast<std::uint32_t>(body.partition()));
  } else {
    for (std::uint32_t index = 0; index < count; ++index) reset.partitions.push_back(index);
  }
  return reset;
}

}  // namespace

void handle(ClientConnection& client, const protocol::SubscriptionReset& body, Reply reply) {
  CoreLoop& here = client.loop();
  const bool local = body.local_partitions() != nullptr;
  if (local && !require_node(client, reply)) return;
  auto reset = read_reset(here, body, reply);
  if (!reset) return;
  auto done = [reply = std::move(reply)](Status outcome) mutable {
    if (!outcome) return reply.error(outcome.error());
    reply.done();
  };
  if (local)
    reset_here(here, *reset, std::move(done));
  else
    reset_on_mains(here, *reset, std::move(done));
}

}  // namespace andyx::server
