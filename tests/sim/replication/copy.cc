#include "tests/sim/replication/copy.h"

#include <algorithm>
#include <utility>

#include "common_generated.h"
#include "protocol/base/planted.h"
#include "server/replication/internal_log_record.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

Copy::Copy(Node& node, std::uint32_t partition)
    : node_(node),
      partition_(partition),
      messages_(node, *this, false),
      internal_(node, *this, true) {}

Now Copy::now() const {
  const auto now_us = static_cast<TimeUs>(node_.world().schedule().now());
  return {.wall_us = now_us, .steady_us = now_us};
}

bool Copy::pulls_failing() const {
  return messages_.failing_epoch() != 0 && messages_.failing_epoch() == record_.main_epoch;
}

std::string Copy::describe() const {
  return "\n    partition " + std::to_string(partition_) + " version " +
         std::to_string(record_.version) + (serving_ ? " serving" : "") + "\n      " +
         messages_.describe() + "\n      " + internal_.describe();
}

// ---- The process ----

void Copy::start() {
  messages_.start();
  internal_.start();
  recover();
}

void Copy::recover() {
  PartitionCore::Recovered recovered{.start_offset = messages_.copy().start,
                                     .end_offset = messages_.copy().end,
                                     .last_append_time_us = 0,
                                     .producers = recovered_producers(),
                                     .dedup = {}};
  core_.emplace(0, std::move(recovered));
  core_->commits_by_set(messages_.copy().committed);
}

// What a snapshot and the log behind it come to.
ProducerTable Copy::recovered_producers() const {
  ProducerTable producers;
  for (const Batch& batch : messages_.log().batches()) producers.replay(batch.header);
  return producers;
}

// Nothing is told to anybody: the process has ended.
void Copy::crash() {
  messages_.crash();
  internal_.crash();
  waiting_.clear();
  subscriptions_.clear();
  coordinators_.clear();
  when_serving_.clear();
  dirty_.clear();
  confirms_.clear();
  round_.reset();
  serving_ = false;
  record_ = {};
}

void Copy::wipe() {
  messages_.wipe();
  internal_.wipe();
}

void Copy::tick() {
  messages_.tick();
  internal_.tick();
  for (auto& [id, subscription] : subscriptions_) subscription.tick();
  for (auto& [id, coordinator] : coordinators_) coordinator.tick();
}

void Copy::controller_answered(std::uint64_t asked_ms) {
  messages_.controller_answered(asked_ms);
  internal_.controller_answered(asked_ms);
}

// ---- Roles ----

void Copy::adopt(const ReplicationRecord& record) {
  record_ = record;
  if (messages_.was_main()) {
    messages_.image_moved(record_);
    internal_.image_moved(internal_record());
    if (messages_.main() == nullptr) step_down();
  }
  if (record_.find(node_.id()) == nullptr) {  // taken from this node
    messages_.stand_down();
    internal_.stand_down();
    if (messages_.log().end() == 0 && internal_.log().end() == 0) return;
    wipe();
    return recover();
  }
  if (record_.main == node_.id()) {
    if (!messages_.was_main()) become_main();
  } else {
    messages_.follow(record_);
    internal_.follow(record_);
  }
  if (serving()) sync_subscriptions();
}

ReplicationRecord Copy::internal_record() const {
  const MainCore* main = messages_.main();
  return internal_log_record(record_,
                             main != nullptr && main->pending() ? &*main->pending() : nullptr);
}

void Copy::become_main() {
  core_->begin_epoch(record_.main_epoch);
  core_->commits_by_set(messages_.copy().committed);
  messages_.lead(record_);
  internal_.lead(internal_record());
  serve_if_ready();
}

void Copy::step_down() {
  if (std::exchange(serving_, false)) node_.world().subscriptions().ended(*this);
  messages_.stand_down();
  internal_.stand_down();
  if (round_) lose(*std::exchange(round_, std::nullopt), ErrorCode::kNotMain);
  for (auto& [id, ready] : std::exchange(when_serving_, {})) ready(ErrorCode::kNotMain);
  for (auto& [id, subscription] : subscriptions_) subscription.end(ErrorCode::kNotMain);
  for (auto& [id, coordinator] : coordinators_) coordinator.detach_all();
  for (Done& confirmed : std::exchange(confirms_, {})) confirmed(ErrorCode::kNotMain);
  subscriptions_.clear();
  coordinators_.clear();
  dirty_.clear();
}

// ---- The in-sync set: as the server's Partition ----

void Copy::propose(ReplicaLog& log, const SetProposal& proposal) {
  if (!log.internal()) internal_.image_moved(internal_record());  // it sees who is to join
  if (grows(record_, proposal))
    consider_growth();
  else
    send_proposal(proposal);
}

// Growth is sent when both logs wait for the joiner: only then it holds what either has committed.
void Copy::consider_growth() {
  const MainCore* messages = messages_.main();
  const MainCore* internal = internal_.main();
  if (messages == nullptr || internal == nullptr) return;
  const auto &wanted = messages->pending(), &agreed = internal->pending();
  if (!wanted || !agreed || wanted->version != agreed->version) return;
  for (const SetProposal::Member& member : wanted->in_sync) {
    const bool waited_for = record_.is_in_sync(member.node) ||
                            std::ranges::find(agreed->in_sync, member) != agreed->in_sync.end();
    if (!waited_for) return;
  }
  send_proposal(*wanted);
}

void Copy::send_proposal(const SetProposal& proposal) {
  World& world = node_.world();
  const auto arrive = [&world, at = partition_, proposal] {
    world.controller().proposal(at, proposal);
  };
  world.network().send(node_.id(), kController, arrive);
  // Some way of retrying holds it back.
  if (node_.rng().one_in(4)) world.schedule().after(node_.rng().below(4'000) * kMs, arrive);
}

void Copy::ask_for_new_epoch(MainEpoch epoch) {
  World& world = node_.world();
  world.network().send(node_.id(), kController, [&world, at = partition_, epoch] {
    world.controller().asked_for_new_epoch(at, epoch);
  });
}

// ---- What its logs say ----

void Copy::answer(ReplicaLog& log, std::uint64_t token, ErrorCode error) {
  if (log.internal()) {
    if (round_ && round_->token == token) finish(error);
    return;
  }
  const auto found = waiting_.find(token);
  if (found == waiting_.end()) return;
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  if (error == ErrorCode::kOk && waiting.acks != protocol::Acks::quorum)
    node_.world().checker(partition_, false).answered_below_quorum(log, waiting.epoch);
  waiting.reply({.error = error, .epoch = waiting.epoch, .base = waiting.base});
}

void Copy::committed_moved(ReplicaLog& log) {
  if (log.internal()) return;
  if (log.copy().committed > core_->durable_offset())
    violated("committed is durable", log.describe());
  core_->committed(log.copy().committed);
  for (auto& [id, subscription] : subscriptions_) subscription.committed(log.copy().committed);
}

void Copy::stored(ReplicaLog& log, const batch::Header& header) {
  if (log.internal() || log.was_main()) return;  // the core of a main knows it already
  core_->replicated(header, {});
}

void Copy::durable(ReplicaLog& log, Offset end) {
  if (!log.internal()) core_->durable(end);
}

void Copy::refused(ReplicaLog& log, Offset from) {
  if (!log.internal()) core_->append_refused(from, core_->end_offset());
}

void Copy::was_cut(ReplicaLog& log) {
  if (log.internal()) return;
  const bool rolled_back = !planted(PlantedBug::kProducersNotRolledBack);
  core_->recovered(
      {.start_offset = std::min(messages_.copy().start, messages_.log().end()),
       .end_offset = messages_.log().end(),
       .last_append_time_us = core_->last_append_time_us(),
       .producers = rolled_back ? recovered_producers() : std::move(core_->producers()),
       .dedup = {}});
}

// ---- Producers ----

void Copy::produce(Batch batch, protocol::Acks acks, Reply reply) {
  if (messages_.main() == nullptr)
    return reply({.error = ErrorCode::kNotMain, .main = record_.main});
  const MainEpoch epoch = messages_.epoch();
  if (const Status may = messages_.may_append(acks); !may) {
    // A duplicate is not refused here: its original may be stored, which a refusal would deny.
    const auto verdict = core_->producers().check(batch.header);
    if (!verdict || !verdict->duplicate) return reply({.error = may.error().code, .epoch = epoch});
  }
  const auto produced =
      core_->produce(batch.header, 0, static_cast<TimeUs>(node_.world().schedule().now()));
  if (!produced) return reply({.error = produced.error().code, .epoch = epoch});
  const std::uint64_t token = next_token_++;
  waiting_.emplace(token, Waiting{acks, epoch, produced->base_offset, std::move(reply)});
  if (produced->duplicate) {
    if (produced->end_offset > messages_.copy().end)
      violated("producers follow the log", messages_.describe());
    return messages_.duplicate(produced->end_offset, acks, token);
  }
  if (produced->base_offset != messages_.copy().end)
    violated("offsets follow the log", messages_.describe());
  messages_.append(std::move(batch), acks, token);
}

void Copy::retain(Offset from) {
  if (!serving() || from > messages_.copy().committed) return;
  messages_.retain(from);
  core_->start_advanced(messages_.copy().start);
  node_.world().subscriptions().retained(*this);
  for (auto& [id, subscription] : subscriptions_) subscription.log_start_advanced();
}

}  // namespace andyx::server::sim
