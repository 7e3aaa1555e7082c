#include "tests/sim/replication/subscription.h"

#include <utility>

#include "common_generated.h"
#include "protocol/base/limits.h"
#include "subscription_generated.h"
#include "tests/sim/replication/consumer.h"
#include "tests/sim/replication/copy.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

namespace {

// A batch of the simulation has as many bytes as messages: credit of both is the same.
constexpr std::uint64_t kCredit = 20;
constexpr std::uint64_t kAckTimeoutUs = 2 * kSecond;

}  // namespace

SimSubscription::SimSubscription(Copy& copy, std::shared_ptr<const SubscriptionRecord> record)
    : copy_(copy),
      record_(std::move(record)),
      core_(record_->id, record_->type, record_->mode, record_->key_ordered) {}

std::uint64_t SimSubscription::now_ms() const { return copy_.node().world().schedule().now_ms(); }

// ---- Its start ----

void SimSubscription::recovered() {
  started_ = true;
  core_.open(copy_.log(false).copy().start, copy_.log(false).copy().committed, copy_.now());
  become_ready(ErrorCode::kOk);
}

void SimSubscription::start_at(Offset start) {
  started_ = true;
  core_.create(start);
  core_.open(copy_.log(false).copy().start, copy_.log(false).copy().committed, copy_.now());
  make_start_durable();
}

void SimSubscription::make_start_durable() {
  copy_.changed(core_.id(), [this](ErrorCode outcome) { become_ready(outcome); });
}

void SimSubscription::become_ready(ErrorCode outcome) {
  ready_ = outcome == ErrorCode::kOk;
  failed_ = !ready_;
  if (ready_) copy_.node().world().subscriptions().ready(copy_, core_);
  for (Done& waiting : std::exchange(when_ready_, {})) waiting(outcome);
}

void SimSubscription::when_ready(Done ready) {
  if (ready_) return ready(ErrorCode::kOk);
  when_ready_.push_back(std::move(ready));
  if (std::exchange(failed_, false)) make_start_durable();
}

void SimSubscription::end(ErrorCode reason) {
  while (!streams_.empty()) {
    const StreamId id = streams_.begin()->first;
    core_.detach(id, copy_.now());
    end_stream(id);
  }
  for (Done& waiting : std::exchange(when_ready_, {})) waiting(reason);
  for (Drain& drain : std::exchange(drains_, {})) drain.drained(ErrorCode::kOk);
}

// ---- The partition and time ----

void SimSubscription::committed(Offset offset) {
  if (!started_) return;
  core_.committed(offset);
  pump();
}

void SimSubscription::log_start_advanced() {
  core_.log_start_advanced(copy_.log(false).copy().start);
  note_changes();
  pump();
}

void SimSubscription::tick() {
  core_.advance(copy_.now());
  check_drains();
  note_changes();
  pump();
}

void SimSubscription::note_changes() {
  if (core_.has_change()) copy_.changed(core_.id(), [](ErrorCode) {});
}

// ---- Streams ----

StreamId SimSubscription::find(std::uint64_t connection, std::uint32_t stream) const {
  for (const auto& [id, each] : streams_)
    if (each.from.connection == connection && each.number == stream) return id;
  return 0;
}

void SimSubscription::open_stream(const StreamOpen& open, Done reply) {
  if (!ready_) return reply(ErrorCode::kNotMain);
  const StreamId id = next_stream_++;
  const auto attached = core_.attach(id,
                                     {.attach_epoch = open.epoch,
                                      .credit_bytes = kCredit,
                                      .credit_messages = kCredit,
                                      .ack_timeout_us = kAckTimeoutUs},
                                     copy_.now());
  if (!attached) return reply(attached.error().code);
  for (const StreamId ended : attached->ended) end_stream(ended);
  streams_.emplace(id, Stream{open.from, open.stream, open.epoch});
  note_changes();
  reply(ErrorCode::kOk);
  pump();
}

void SimSubscription::end_stream(StreamId id) {
  const Stream stream = streams_.at(id);
  streams_.erase(id);
  stream.from.consumer->push([stream, at = copy_.partition()] {
    stream.from.consumer->stream_closed(stream.from.connection, at, stream.number);
  });
}

void SimSubscription::close_stream(std::uint64_t connection, std::uint32_t stream) {
  const StreamId id = find(connection, stream);
  if (id == 0) return;
  core_.detach(id, copy_.now());
  streams_.erase(id);
  check_drains();
  note_changes();
  pump();
}

void SimSubscription::connection_lost(std::uint64_t connection) {
  std::vector<std::uint32_t> streams;
  for (const auto& [id, each] : streams_)
    if (each.from.connection == connection) streams.push_back(each.number);
  for (const std::uint32_t stream : streams) close_stream(connection, stream);
}

void SimSubscription::credit(std::uint64_t connection, std::uint32_t stream,
                             std::uint64_t messages) {
  const StreamId id = find(connection, stream);
  if (id == 0) return;
  (void)core_.credit(id, messages, messages);
  pump();
}

void SimSubscription::answer(std::uint64_t connection, std::uint32_t stream,
                             protocol::AnswerKind kind, OffsetRange range, Done reply) {
  const StreamId id = find(connection, stream);
  if (id == 0) return reply(ErrorCode::kUnknownStream);
  SubscriptionChecker& checker = copy_.node().world().subscriptions();
  const bool settles = kind != protocol::AnswerKind::unacknowledge;
  if (settles) checker.answered(copy_, core_.id(), range);
  if (const Status taken = core_.answer(id, kind, std::span(&range, 1), 0, copy_.now()); !taken)
    return reply(taken.error().code);
  copy_.changed(core_.id(), [this, &checker, settles, range, reply](ErrorCode outcome) {
    if (outcome == ErrorCode::kOk && settles) checker.confirmed(copy_, core_, range);
    reply(outcome);
  });
  check_drains();
  pump();
}

void SimSubscription::revoke(std::uint64_t attach_epoch, Done drained) {
  core_.revoke(attach_epoch);
  drains_.push_back({attach_epoch, now_ms() + limits::kDrainTimeoutMs, std::move(drained)});
  check_drains();
}

void SimSubscription::check_drains() {
  std::vector<Drain> over;
  std::erase_if(drains_, [&](Drain& drain) {
    if (!core_.drained(drain.attach_epoch) && now_ms() < drain.until_ms) return false;
    over.push_back(std::move(drain));
    return true;
  });
  for (Drain& drain : over) {
    core_.retire(drain.attach_epoch, copy_.now());
    drain.drained(ErrorCode::kOk);
  }
  if (over.empty()) return;
  // Behind the confirmations of what was answered on them.
  copy_.changed(core_.id(), [this](ErrorCode) {
    for (const StreamId id : core_.end_retired())
      if (streams_.contains(id)) end_stream(id);
  });
}

// ---- Delivery ----

void SimSubscription::pump() {
  if (!ready_) return;
  World& world = copy_.node().world();
  std::vector<SubscriptionCore::DeliveredRange> taken;
  while (const auto want = core_.next_want()) {
    const Batch* batch = copy_.log(false).log().holder(want->from);
    if (batch == nullptr) violated("committed is there", copy_.log(false).describe());
    taken.clear();
    core_.take(*want,
               {.base_offset = batch->header.base_offset,
                .count = batch->header.count,
                .size_bytes = batch->header.count},
               copy_.now(), taken);
    for (const auto& each : taken) {
      const Stream& stream = streams_.at(each.stream);
      const OffsetRange range{each.first, each.last};
      world.subscriptions().delivered(copy_, *record_, stream.attach_epoch, stream.from.connection,
                                      range);
      const Delivery delivery{
          .partition = copy_.partition(), .stream = stream.number, .range = range};
      stream.from.consumer->push([from = stream.from, by = copy_.node().id(), delivery] {
        from.consumer->delivered(from.connection, by, delivery);
      });
    }
  }
  note_changes();
}

}  // namespace andyx::server::sim
