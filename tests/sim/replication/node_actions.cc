// What the cores want done, and the disk.
#include "common_generated.h"
#include "server/replication/planted.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

void Node::act() {
  if (main_) {
    for (const MainAction& action : main_->take_actions()) act_on(action);
  }
  if (!replica_) return;
  for (auto actions = replica_->take_actions(); !actions.empty();
       actions = replica_->take_actions()) {
    for (const ReplicaAction& action : actions) act_on(action);
  }
}

void Node::act_on(const MainAction& action) {
  if (const auto* fetch = std::get_if<AnswerFetch>(&action)) answer_fetch(*fetch);
  if (const auto* producer = std::get_if<AnswerProducer>(&action)) answer_producer(*producer);
  if (const auto* propose = std::get_if<ProposeSet>(&action)) {
    const auto arrive = [&world = world_, proposal = propose->proposal] {
      world.controller().proposal(proposal);
    };
    world_.network().send(id_, kController, arrive);
    // Some way of retrying holds it back.
    if (rng_.one_in(4)) world_.schedule().after(rng_.below(4'000) * kMs, arrive);
  }
  if (std::holds_alternative<AskForNewEpoch>(action))
    world_.network().send(id_, kController, [&world = world_, id = id_, epoch = epoch()] {
      world.controller().asked_for_new_epoch(id, epoch);
    });
}

void Node::act_on(const ReplicaAction& action) {
  if (const auto* send = std::get_if<SendFetch>(&action))
    world_.network().send(id_, send->main, [&to = world_.node(send->main), send = *send] {
      to.deliver([&to, send] { to.fetch(send.entry, send.at_once); });
    });
  if (const auto* store = std::get_if<StoreBatches>(&action)) {
    for (const Batch& batch : arrived_) {
      if (batch.header.base_offset >= store->from && batch.header.end_offset() <= store->to)
        append(batch);
    }
    write();
  }
  if (const auto* log = std::get_if<CutLog>(&action)) cut(*log);
  if (const auto* failing = std::get_if<PullsFailing>(&action))
    failing_epoch_ = failing->failing ? failing->epoch : 0;
}

// At most a few batches in an answer, and the whole of what is gone where the replica begins anew.
void Node::answer_fetch(const AnswerFetch& action) {
  const FetchAnswer& answer = action.answer;
  std::vector<Batch> batches;
  if (answer.kind == FetchAnswer::Kind::kMatched) batches = log_.range(answer.from, answer.to);
  if (batches.size() > 20) batches.resize(20);
  if (answer.kind == FetchAnswer::Kind::kReset) batches = log_.range(0, answer.start);
  world_.network().send(id_, action.replica, [&to = world_.node(action.replica), answer, batches] {
    to.deliver([&to, answer, batches] { to.fetched(answer, batches); });
  });
}

void Node::answer_producer(const AnswerProducer& action) {
  const auto found = waiting_.find(action.token);
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  if (action.error == ErrorCode::kOk && waiting.acks != protocol::Acks::quorum)
    world_.checker().answered_below_quorum(*this, waiting.epoch);
  waiting.reply({.error = action.error, .epoch = waiting.epoch, .base = waiting.base});
}

void Node::append(const Batch& batch) {
  if (batch.header.base_offset != log_.end())
    violated("a log without gaps", describe() + " " + std::to_string(log_.end()) + " then " +
                                       std::to_string(batch.header.base_offset));
  log_.append(batch);
  producers_.record(batch.header);
}

void Node::rebuild_producers() {
  producers_ = {};
  for (const Batch& batch : log_.batches()) producers_.replay(batch.header);
}

void Node::cut(const CutLog& cut) {
  const Offset from = cut.restart_at ? cut.from : std::max(cut.from, copy_.start);
  world_.checker().cut(*this, cut.restart_at ? std::max(from, *cut.restart_at) : from, epoch());
  log_.cut(from);
  if (cut.restart_at) {
    world_.checker().forgets(*this);
    // The main's producers come along; and what it has removed, for the checks.
    log_ = {};
    for (const Batch& batch : arrived_) log_.append(batch);
  }
  synced_ = log_.end();
  if (!planted(ReplicationBug::kProducersNotRolledBack) &&
      (cut.restart_at || !producers_.rollback(from)))
    rebuild_producers();
  replica_->log_cut(world_.schedule().now_ms());
}

// One sync at a time takes everything that was written before it began.
void Node::write() {
  if (writing_ || synced_ >= log_.end()) return;
  writing_ = true;
  const Time now = world_.schedule().now();
  if (world_.options().lazy_sync || planted(ReplicationBug::kDurableBeforeSync)) {
    producers_.durable(log_.end());
    if (main_) main_->durable(log_.end(), now / kMs);
    if (replica_) replica_->durable(log_.end(), now / kMs);
  }
  Time delay = rng_.between(world_.options().sync_time / 2, world_.options().sync_time * 2);
  if (now < slow_until_) delay += rng_.below(slow_until_ - now + 1);
  world_.schedule().after(delay, [this, life = life_, end = log_.end()] {
    if (life != life_) return;
    const auto done = [this, end] {
      writing_ = false;
      written(end);
    };
    deliver(done);
  });
}

void Node::written(Offset end) {
  const std::uint64_t now = world_.schedule().now_ms();
  if (world_.schedule().now() < full_until_) {
    refuse_unsynced();
  } else {
    synced_ = std::max(synced_, std::min(end, log_.end()));
    producers_.durable(synced_);
    if (main_) main_->durable(synced_, now);
    if (replica_) replica_->durable(synced_, now);
  }
  write();
  act();
}

void Node::refuse_unsynced() {
  const Offset from = std::max(synced_, copy_.durable);
  if (main_) main_->append_refused(from, world_.schedule().now_ms());
  if (replica_) replica_->store_refused(from, world_.schedule().now_ms());
  log_.cut(from);
  if (!producers_.rollback(from)) rebuild_producers();
}

}  // namespace andyx::server::sim
