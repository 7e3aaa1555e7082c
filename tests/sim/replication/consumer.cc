#include "tests/sim/replication/consumer.h"

#include <utility>

#include "common_generated.h"
#include "subscription_generated.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

using protocol::AnswerKind;

namespace {

constexpr std::uint32_t kRefusalsBeforeAttach = 3;

}  // namespace

Consumer::Consumer(std::uint32_t index, const SubscriptionPlan& plan, World& world)
    : world_(world),
      rng_(world.options().seed, 400 + index),
      plan_(plan),
      name_("consumer-" + std::to_string(index)) {}

void Consumer::begin() {
  connection_ = world_.next_connection();
  session_ = connection_;
  attach_later();
}

std::string Consumer::describe() const {
  std::string out =
      name_ + " of " + plan_.name + " (" + protocol::EnumNameSubscriptionType(plan_.type) + ", " +
      protocol::EnumNameSubscriptionMode(plan_.mode) + ")" + (connection_ == 0 ? " down" : "") +
      (attaching_ ? " attaching" : "") + " attached at node " + std::to_string(coordinator_) +
      " under " + std::to_string(attach_epoch_) + ", refused " + std::to_string(refusals_);
  for (const auto& [partition, epoch] : grants_)
    out += ", granted " + std::to_string(partition) + " under " + std::to_string(epoch);
  for (const auto& [partition, stream] : streams_)
    out += ", stream " + std::to_string(stream.number) + " of " + std::to_string(partition) +
           " at node " + std::to_string(stream.node);
  return out;
}

void Consumer::push(std::function<void()> arrival) {
  world_.network().send_in_order(arrived_, std::move(arrival));
}

void Consumer::handle(std::uint64_t connection, std::function<void()> what) {
  if (connection != connection_) return;
  if (world_.schedule().now() >= paused_until_) return what();
  world_.schedule().after(paused_until_ - world_.schedule().now(),
                          [this, connection, what = std::move(what)] { handle(connection, what); });
}

void Consumer::send(NodeId node, Time& after, std::function<void(Node&)> what) {
  world_.network().send_in_order(
      after, [&to = world_.node(node), what] { to.deliver([&to, what] { what(to); }); });
}

// The nodes hear of it when they find its connections closed.
void Consumer::crash() {
  const std::uint64_t lost = std::exchange(connection_, 0);
  if (lost == 0) return;
  for (NodeId id = 1; id <= world_.options().nodes; ++id) {
    world_.schedule().after(
        rng_.one_in(2) ? rng_.below(50) * kMs : rng_.below(2'000) * kMs,
        [&to = world_.node(id), lost] { to.deliver([&to, lost] { to.connection_lost(lost); }); });
  }
  grants_.clear();
  streams_.clear();
  pipes_.clear();
  attach_epoch_ = 0;
  attaching_ = false;
  ++attempt_;
  world_.schedule().after(rng_.below(3'000) * kMs, [this] {
    if (connection_ == 0) begin();
  });
}

void Consumer::node_lost(NodeId node) {
  if (connection_ == 0) return;
  pipes_.erase(node);
  for (const auto& [partition, stream] : std::map(streams_)) {
    if (stream.node != node) continue;
    streams_.erase(partition);
    reopen_later(partition);
  }
  if (coordinator_ == node) attach_later();
}

NodeId Consumer::main_of(std::uint32_t partition) const {
  return world_.controller().partition(partition).main;
}

// ---- Attaching ----

void Consumer::attach_later() {
  const std::uint64_t attempt = ++attempt_;
  attaching_ = false;
  world_.schedule().after(rng_.between(20, 300) * kMs, [this, attempt, at = connection_] {
    handle(at, [this, attempt] {
      if (attempt == attempt_) attach();
    });
  });
}

void Consumer::attach() {
  const auto record = world_.controller().ensure_subscription(plan_);
  coordinator_ = main_of(record->coordinator);
  if (coordinator_ == 0) return attach_later();
  const SubscribeRequest request{.subscription = plan_.name,
                                 .from = {this, connection_},
                                 .name = name_,
                                 .session = session_,
                                 .priority = static_cast<std::int32_t>(rng_.below(2)),
                                 .take_over = rng_.one_in(8)};
  const std::uint64_t attempt = ++attempt_;
  attaching_ = true;
  const auto reply = [this, attempt, at = connection_](const SubscribeAnswer& answer) {
    push([this, attempt, at, answer] {
      handle(at, [this, attempt, answer] { subscribed(attempt, answer); });
    });
  };
  send(coordinator_, pipes_[coordinator_],
       [request, reply](Node& to) { to.subscribe(request, reply); });
  world_.schedule().after(4 * kSecond, [this, attempt] {
    if (attempt == attempt_) attach_later();
  });
}

void Consumer::subscribed(std::uint64_t attempt, const SubscribeAnswer& answer) {
  if (attempt != attempt_) return;
  ++attempt_;
  attaching_ = false;
  if (answer.error != ErrorCode::kOk) return attach_later();
  attach_epoch_ = answer.attach_epoch;
  version_ = 0;
  refusals_ = 0;
  take({.attach_epoch = attach_epoch_, .version = 0, .grants = answer.grants});
}

void Consumer::assigned(std::uint64_t connection, const Assignment& assignment) {
  handle(connection, [this, assignment] {
    if (assignment.attach_epoch != attach_epoch_ || assignment.version <= version_) return;
    version_ = assignment.version;
    take(assignment);
  });
}

void Consumer::detached(std::uint64_t connection, std::uint64_t attach_epoch, ErrorCode reason) {
  handle(connection, [this, attach_epoch, reason] {
    if (attach_epoch != attach_epoch_) return;
    if (attaching_) return;                             // what comes of that counts
    if (reason != ErrorCode::kNotMain) return crash();  // somebody has taken over
    attach_later();
  });
}

// What was lost is closed, what is new is opened.
void Consumer::take(const Assignment& assignment) {
  grants_.clear();
  for (const PartitionGrant& grant : assignment.grants) grants_[grant.partition] = grant.epoch;
  for (const auto& [partition, stream] : std::map(streams_)) {
    const auto granted = grants_.find(partition);
    if (granted == grants_.end()) continue;  // its main ends it, when it has drained
    if (granted->second == stream.epoch) continue;
    streams_.erase(partition);
    close(partition, stream.node, stream.number);
  }
  for (const PartitionGrant& grant : assignment.grants) {
    if (!streams_.contains(grant.partition)) open(grant);
  }
}

// ---- Streams ----

// Sometimes it takes its time: the partition may have gone to another one meanwhile.
void Consumer::open(const PartitionGrant& grant) {
  const NodeId node = main_of(grant.partition);
  if (node == 0 || !world_.node(node).up()) return reopen_later(grant.partition);
  const std::uint32_t number = next_stream_++;
  streams_[grant.partition] = {.number = number, .node = node, .epoch = grant.epoch};
  const StreamOpen request{.from = {this, connection_}, .stream = number, .epoch = grant.epoch};
  const auto ask = [this, node, request, partition = grant.partition](std::uint64_t connection) {
    const auto reply = [this, connection, partition, number = request.stream](ErrorCode code) {
      push([this, connection, partition, number, code] {
        handle(connection, [this, partition, number, code] { opened(partition, number, code); });
      });
    };
    const auto id = world_.controller().ensure_subscription(plan_)->id;
    send(node, pipes_[node], [id, partition, request, reply](Node& to) {
      SimSubscription* found =
          to.copy(partition).serving() ? to.copy(partition).subscription(id) : nullptr;
      if (found == nullptr) return reply(ErrorCode::kNotMain);
      found->open_stream(request, reply);
    });
  };
  if (!rng_.one_in(10) || world_.healed()) return ask(connection_);
  world_.schedule().after(rng_.below(6'000) * kMs, [this, ask, connection = connection_] {
    if (connection == connection_) ask(connection);
  });
}

void Consumer::opened(std::uint32_t partition, std::uint32_t number, ErrorCode outcome) {
  const auto stream = streams_.find(partition);
  if (stream == streams_.end() || stream->second.number != number) return;
  if (outcome == ErrorCode::kOk) {
    refusals_ = 0;
    return;
  }
  streams_.erase(stream);
  reopen_later(partition);
}

void Consumer::reopen_later(std::uint32_t partition) {
  if (!grants_.contains(partition)) return;
  if (++refusals_ > kRefusalsBeforeAttach) {
    refusals_ = 0;
    return attach_later();
  }
  world_.schedule().after(rng_.between(20, 200) * kMs, [this, partition, at = connection_] {
    handle(at, [this, partition] {
      const auto grant = grants_.find(partition);
      if (grant != grants_.end() && !streams_.contains(partition))
        open({.partition = grant->first, .epoch = grant->second});
    });
  });
}

void Consumer::close(std::uint32_t partition, NodeId node, std::uint32_t number) {
  const auto id = world_.controller().ensure_subscription(plan_)->id;
  send(node, pipes_[node], [id, partition, at = connection_, number](Node& to) {
    if (auto* found = to.copy(partition).subscription(id)) found->close_stream(at, number);
  });
}

void Consumer::stream_closed(std::uint64_t connection, std::uint32_t partition,
                             std::uint32_t number) {
  handle(connection, [this, partition, number] {
    const auto stream = streams_.find(partition);
    if (stream == streams_.end() || stream->second.number != number) return;
    streams_.erase(stream);
    reopen_later(partition);
  });
}

// ---- Messages ----

void Consumer::delivered(std::uint64_t connection, NodeId by, const Delivery& delivery) {
  handle(connection, [this, by, delivery] {
    const auto stream = streams_.find(delivery.partition);
    if (stream == streams_.end() || stream->second.number != delivery.stream)
      return close(delivery.partition, by, delivery.stream);  // given up meanwhile
    const Time work = rng_.one_in(20) ? rng_.below(3'000) * kMs : rng_.below(20) * kMs;
    // In the end it has to catch up, a message at a time where the subscription is resilient.
    world_.schedule().after(world_.healed() ? 0 : work,
                            [this, delivery, at = connection_, stream = stream->second] {
                              handle(at, [this, delivery, stream] { answer(delivery, stream); });
                            });
  });
}

// Some are forgotten: their ack timeout gives them back.
void Consumer::answer(const Delivery& delivery, const Stream& stream) {
  const bool forgotten = rng_.one_in(60) && !world_.healed();
  const auto kind = rng_.one_in(25)   ? AnswerKind::unacknowledge
                    : rng_.one_in(25) ? AnswerKind::skip
                                      : AnswerKind::acknowledge;
  const auto id = world_.controller().ensure_subscription(plan_)->id;
  send(stream.node, pipes_[stream.node],
       [id, delivery, kind, forgotten, at = connection_, number = stream.number](Node& to) {
         auto* found = to.copy(delivery.partition).subscription(id);
         if (found == nullptr) return;
         if (!forgotten) found->answer(at, number, kind, delivery.range, [](ErrorCode) {});
         found->credit(at, number, delivery.range.last - delivery.range.first + 1);
       });
}

}  // namespace andyx::server::sim
