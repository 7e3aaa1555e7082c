#include "tests/sim/replication/producer.h"

#include <algorithm>

#include "common_generated.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

using protocol::Acks;

namespace {

constexpr Time kAnswerWithin = 2 * kSecond;  // else the connection is given up

client::ProducerCore::Config draw_config(const Options& options, std::uint32_t index) {
  Rng rng(options.seed, 300 + index);
  return {.max_in_flight = static_cast<std::uint32_t>(rng.between(1, 5)),
          .delivery_timeout_ms = rng.one_in(2) ? rng.between(500, 5'000) : 30'000,
          .backoff_max_ms = rng.between(50, 500),
          .seed = rng.next()};
}

}  // namespace

Producer::Producer(std::uint32_t index, World& world)
    : world_(world),
      rng_(world.options().seed, 200 + index),
      partition_(index % world.options().partitions),
      core_(draw_config(world.options(), index)),
      producer_id_(world.next_producer_id()) {}

std::uint64_t Producer::now_ms() const { return world_.schedule().now_ms(); }

void Producer::begin() {
  refresh();
  next_operation();
  tick();
}

// Now and then some at once, and not more than a caller would have waiting.
void Producer::next_operation() {
  const std::uint64_t some = rng_.one_in(3) ? rng_.between(2, 5) : 1;
  for (std::uint64_t i = 0; i < some && operations_.size() < 8; ++i) {
    const bool quorum = quorum_only_ || rng_.one_in(2);
    operations_.push_back({.id = world_.next_operation(),
                           .count = static_cast<std::uint32_t>(rng_.between(1, 3)),
                           .acks = quorum           ? Acks::quorum
                                   : rng_.one_in(4) ? Acks::none
                                                    : Acks::main,
                           .producer = producer_id_,
                           .sequence = next_sequence_++});
    core_.add(now_ms());
    run();
  }
  world_.schedule().after(some * rng_.below(2 * world_.options().produce_every),
                          [this] { next_operation(); });
}

void Producer::run() {
  for (auto actions = core_.take_actions(); !actions.empty(); actions = core_.take_actions()) {
    for (const Core::Action& action : actions)
      std::visit([this](const auto& one) { act(one); }, action);
  }
}

void Producer::tick() {
  const bool silent = std::ranges::any_of(operations_, [&](const Operation& each) {
    return each.sent != 0 && world_.schedule().now() > each.sent + kAnswerWithin;
  });
  if (silent) disconnect({ErrorCode::kConnectionLost, "no answer"});
  if (core_.wake_at() && *core_.wake_at() <= now_ms()) core_.tick(now_ms());
  run();
  world_.schedule().after(20 * kMs, [this] { tick(); });
}

std::string Producer::describe() const {
  return "producer " + std::to_string(producer_id_) + " of partition " +
         std::to_string(partition_) + " at node " + std::to_string(node_) +
         (core_.is_up() ? " up" : " down") + ", unresolved " + std::to_string(core_.unresolved()) +
         ", in flight " + std::to_string(core_.in_flight()) +
         (core_.awaits_identity() ? ", awaits an identity" : "") + ", stored at quorum " +
         std::to_string(stored_since_);
}

// ---- What the core wants done ----

void Producer::act(const Core::Send& action) {
  Operation& operation = operations_[action.id - first_];
  operation.sent = world_.schedule().now();
  Batch batch{.operation = operation.id, .header = {}};
  batch.header.count = operation.count;
  batch.header.producer_id = operation.producer;
  batch.header.sequence = operation.sequence;
  Node& to = world_.node(node_);
  const auto reply = [this, generation = generation_, id = action.id,
                      by = node_](const ProduceAnswer& answer) {
    world_.network().send(kClients, kClients, [this, generation, id, by, answer] {
      answered(generation, id, by, answer);
    });
  };
  world_.network().send_in_order(
      pipe_, [&to, batch, acks = operation.acks, at = partition_, reply] {
        to.deliver([&to, batch, acks, at, reply] { to.copy(at).produce(batch, acks, reply); });
      });
}

void Producer::answered(std::uint64_t generation, client::BatchId id, NodeId by,
                        const ProduceAnswer& answer) {
  if (generation != generation_) return;
  if (id >= first_ && id - first_ < operations_.size()) operations_[id - first_].sent = 0;
  if (answer.error == ErrorCode::kOk) {
    route_.served(by, answer.epoch);
    core_.answered(
        id,
        Core::Success{.base_offset = answer.base, .append_time_us = 0, .main_epoch = answer.epoch},
        now_ms());
  } else {
    if (answer.error == ErrorCode::kNotMain) route_.redirected(by, answer.main);
    const ErrorInfo& info = error_info(answer.error);
    core_.answered(
        id,
        Core::Refusal{
            .error = {answer.error, "refused"}, .stored = info.stored, .retriable = info.retriable},
        now_ms());
  }
  run();
  place();
}

void Producer::act(const Core::Stored& action) {
  const Operation& operation = operations_[action.id - first_];
  if (operation.acks == Acks::quorum) {
    if (action.success.base_offset != kNoOffset)
      world_.checker(partition_, false)
          .acknowledged_at_quorum(action.success.main_epoch, operation.id,
                                  action.success.base_offset);
    ++stored_since_;
  }
  resolve(action.id);
}

void Producer::act(const Core::Failed& action) {
  if (action.stored == Storedness::kNotStored)
    world_.checker(partition_, false).given_up(operations_[action.id - first_].id);
  resolve(action.id);
}

void Producer::resolve(client::BatchId id) {
  operations_[id - first_].resolved = true;
  while (!operations_.empty() && operations_.front().resolved) {
    operations_.pop_front();
    ++first_;
  }
}

// A new identity, and with it new numbers for all that is unresolved.
void Producer::act(const Core::Reopen&) {
  world_.schedule().after(rng_.between(1, 50) * kMs, [this] {
    if (!core_.awaits_identity()) return;
    producer_id_ = world_.next_producer_id();
    next_sequence_ = 0;
    for (Operation& operation : operations_) {
      if (operation.resolved) continue;
      operation.producer = producer_id_;
      operation.sequence = next_sequence_++;
    }
    core_.reopened(now_ms());
    run();
  });
}

void Producer::act(const Core::Refresh&) { refresh(); }

// ---- Where the main is ----

// Any node answers, as it knows it: some are the last to hear of a change.
void Producer::refresh() {
  if (std::exchange(refreshing_, true)) return;
  world_.schedule().after(rng_.between(1, 100) * kMs, [this] {
    refreshing_ = false;
    const Node& asked = world_.node(static_cast<NodeId>(rng_.between(1, world_.options().nodes)));
    const auto& image = asked.up() && !asked.paused() && asked.image() != nullptr
                            ? asked.image()
                            : world_.controller().image();
    const PartitionRecord& record = image->topics_by_id.begin()->partitions()[partition_];
    route_.learned(record.main, record.main_epoch, record.version);
    place();
  });
}

// To where the route leads now.
void Producer::place() {
  const NodeId to = route_.node();
  if (to != node_) {
    disconnect({ErrorCode::kNotMain, "the main has moved"});
    node_ = to;
  }
  if (node_ != 0 && world_.node(node_).up()) core_.link_up(route_.epoch(), now_ms());
  run();
  if (core_.is_up()) return;
  route_.unreachable(node_);  // it does not take the connection
  refresh();
}

void Producer::disconnect(const Error& reason) {
  ++generation_;
  pipe_ = 0;
  for (Operation& operation : operations_) operation.sent = 0;
  core_.link_down(reason, now_ms());
  if (reason.code == ErrorCode::kConnectionLost) {
    route_.unreachable(node_);
    refresh();
  }
  run();
}

void Producer::node_lost(NodeId node) {
  if (node == node_) disconnect({ErrorCode::kConnectionLost, "the node has gone"});
}

}  // namespace andyx::server::sim
