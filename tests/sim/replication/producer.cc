#include "tests/sim/replication/producer.h"

#include "common_generated.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

using protocol::Acks;

namespace {

constexpr std::uint32_t kAttempts = 8;  // on average, then it gives up what is not stored

}  // namespace

Producer::Producer(std::uint32_t index, World& world)
    : world_(world), rng_(world.options().seed, 200 + index) {
  begin_anew();
}

void Producer::begin_anew() {
  producer_id_ = world_.next_producer_id();
  sequence_ = 0;
}

void Producer::next_operation() {
  operation_ = world_.next_operation();
  count_ = static_cast<std::uint32_t>(rng_.between(1, 3));
  acks_ = quorum_only_ || rng_.one_in(2) ? Acks::quorum : rng_.one_in(4) ? Acks::none : Acks::main;
  maybe_stored_ = false;
  attempt();
}

void Producer::attempt() {
  const std::uint64_t attempt = attempt_ = ++last_attempt_;
  // Mostly it knows the main; sometimes it is the last to hear of a change.
  if (rng_.one_in(2) && world_.controller().record().main != 0)
    target_ = world_.controller().record().main;
  else if (rng_.one_in(10))
    target_ = static_cast<NodeId>(rng_.between(1, world_.options().nodes));
  Batch batch{.operation = operation_, .header = {}};
  batch.header.count = count_;
  batch.header.producer_id = producer_id_;
  batch.header.sequence = sequence_;
  Node& to = world_.node(target_);
  world_.network().send(kProducers, target_, [this, &to, batch, attempt, acks = acks_] {
    to.deliver([this, &to, batch, attempt, acks] {
      to.produce(batch, acks, [this, attempt](ProduceAnswer answer) {
        world_.network().send(kProducers, kProducers,
                              [this, attempt, answer] { answered(attempt, answer); });
      });
    });
  });
  world_.schedule().after(rng_.between(300, 2'000) * kMs, [this, attempt] { timed_out(attempt); });
}

void Producer::answered(std::uint64_t attempt, const ProduceAnswer& answer) {
  if (attempt != attempt_) return;
  attempt_ = 0;
  if (answer.error == ErrorCode::kOk) {
    if (acks_ == Acks::quorum)
      world_.checker().acknowledged_at_quorum(answer.epoch, operation_, answer.base);
    return finish(true);
  }
  const ErrorInfo& info = error_info(answer.error);
  maybe_stored_ = maybe_stored_ || info.stored == Storedness::kMaybeStored;
  const bool lost_its_place =
      answer.error == ErrorCode::kOutOfSequence || answer.error == ErrorCode::kUnknownProducer;
  if (info.retriable && !lost_its_place) return give_up_or_again();
  // The main does not know this producer as it knows itself: what it was told was stored is lost
  // (acks below quorum), or its earlier attempt is not stored.
  if (!maybe_stored_) world_.checker().given_up(operation_);
  begin_anew();
  finish(false);
}

void Producer::timed_out(std::uint64_t attempt) {
  if (attempt != attempt_) return;
  maybe_stored_ = true;
  attempt_ = 0;
  again();
}

void Producer::give_up_or_again() {
  if (maybe_stored_ || !rng_.one_in(kAttempts)) return again();
  world_.checker().given_up(operation_);
  finish(false);
}

void Producer::again() {
  world_.schedule().after(rng_.between(10, 200) * kMs, [this] { attempt(); });
}

void Producer::finish(bool stored) {
  if (stored) {
    ++sequence_;
    if (acks_ == Acks::quorum) ++stored_since_;
  }
  world_.schedule().after(rng_.below(40) * kMs, [this] { next_operation(); });
}

}  // namespace andyx::server::sim
