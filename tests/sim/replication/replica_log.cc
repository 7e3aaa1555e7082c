#include "tests/sim/replication/replica_log.h"

#include <utility>

#include "common_generated.h"
#include "protocol/base/planted.h"
#include "tests/sim/replication/copy.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

ReplicaLog::ReplicaLog(Node& node, Copy& owner, bool internal)
    : node_(node), owner_(owner), internal_(internal) {}

NodeId ReplicaLog::id() const { return node_.id(); }
bool ReplicaLog::up() const { return node_.up(); }
std::uint64_t ReplicaLog::now_ms() const { return node_.world().schedule().now_ms(); }
Checker& ReplicaLog::checker() const {
  return node_.world().checker(owner_.partition(), internal_);
}

MainEpoch ReplicaLog::epoch() const {
  if (main_) return main_->epoch();
  return replica_ ? replica_->epoch() : 0;
}

bool ReplicaLog::heard_controller() const {
  return main() != nullptr && main_->heard_controller(now_ms());
}

std::string ReplicaLog::describe() const {
  const auto n = [](std::uint64_t value) { return std::to_string(value); };
  std::string more;
  if (main() != nullptr && main_->pending()) {
    more = ", proposes at version " + n(main_->pending()->version);
    for (const auto& member : main_->pending()->in_sync) more += " " + n(member.node);
  }
  if (main() != nullptr) {
    for (const ReplicaMember& member : main_->record().replicas) {
      const auto durable = main_->durable_of(member.node);
      more += ", node " + n(member.node) + (member.alive ? " alive " : " dead ") +
              (durable ? n(*durable) : "unmatched");
    }
  }
  more += ", epochs";
  for (const EpochTable::Entry& entry : copy_.epochs.entries())
    more += " " + n(entry.epoch) + "@" + n(entry.start);
  return "node " + n(id()) + (internal_ ? " internal" : "") +
         (main_ ? main_->serving() ? " main" : " main, not serving" : " replica") + " epoch " +
         n(epoch()) + " log " + n(copy_.start) + ".." + n(copy_.end) + " durable " +
         n(copy_.durable) + " committed " + n(copy_.committed) + more;
}

// ---- The process and its disk ----

void ReplicaLog::start() {
  ++life_;
  copy_.end = copy_.durable = log_.end();
  copy_.start = std::min(copy_.start, copy_.end);  // the move of the start is lost with the rest
  copy_.committed = copy_.start;
  // The table is stored with the batches.
  copy_.epochs.truncate(copy_.end);
  copy_.epochs = EpochTable::decode(copy_.epochs.encode()).value();
  next_request_ = 1;
}

void ReplicaLog::crash() {
  ++life_;
  main_.reset();
  replica_.reset();
  writing_ = false;
  failing_epoch_ = 0;
  // Of what was not synced, whole batches may survive, from the first on.
  Offset kept = synced_;
  for (const Batch& batch : log_.range(synced_, log_.end())) {
    if (!node_.rng().one_in(3)) break;
    kept = batch.header.end_offset();
  }
  log_.cut(kept);
  synced_ = kept;
  checker().forgets(*this);
}

void ReplicaLog::wipe() {
  ++life_;
  writing_ = false;
  log_ = {};
  synced_ = 0;
  copy_ = {};
  checker().forgets(*this);
}

void ReplicaLog::tick() {
  if (main_) main_->tick(now_ms());
  if (replica_) replica_->tick(now_ms());
  act();
}

// ---- Roles ----

// As the server's: the messages' main says who joins here.
void ReplicaLog::lead(const ReplicationRecord& record) {
  if (replica_) next_request_ = replica_->next_request();
  replica_.reset();
  failing_epoch_ = 0;
  MainOptions options;
  if (internal_) options.join_after_ms = 0;
  main_ = std::make_unique<MainCore>(id(), record, copy_, node_.heard_ms(), now_ms(), options);
  checker().main_begins(*this);
  act();
}

void ReplicaLog::follow(const ReplicationRecord& record) {
  if (!replica_)
    replica_ = std::make_unique<ReplicaCore>(id(), node_.incarnation(), copy_, next_request_);
  if (record.main_epoch > replica_->epoch()) failing_epoch_ = 0;
  replica_->follow(record.main_epoch, record.main, now_ms());
  act();
}

void ReplicaLog::image_moved(const ReplicationRecord& record) {
  if (!main_) return;
  main_->image_moved(record, now_ms());
  act();
}

void ReplicaLog::stand_down() {
  main_.reset();
  if (replica_) next_request_ = replica_->next_request();
  replica_.reset();
  failing_epoch_ = 0;
}

void ReplicaLog::controller_answered(std::uint64_t asked_ms) {
  if (main_) main_->controller_answered(asked_ms);
}

// ---- The main's ----

Status ReplicaLog::may_append(protocol::Acks level) const {
  if (!main_) return fail(ErrorCode::kNotMain, "this node is not the main");
  return main_->may_append(level, now_ms());
}

void ReplicaLog::append(Batch batch, protocol::Acks level, std::uint64_t token) {
  batch.header.main_epoch = main_->epoch();
  batch.header.base_offset = copy_.end;
  store(batch);
  main_->appended(batch.header.end_offset(), level, token, now_ms());
  write();
  act();
}

void ReplicaLog::duplicate(Offset end, protocol::Acks level, std::uint64_t token) {
  main_->duplicate(end, level, token, now_ms());
  act();
}

void ReplicaLog::retain(Offset from) {
  if (main() != nullptr && from <= copy_.committed) main_->start_advanced(from);
}

// ---- From other nodes ----

void ReplicaLog::fetch(const FetchEntry& entry, bool at_once) {
  if (main_) {
    main_->fetch(entry, now_ms() + (at_once ? 0 : internal_ ? 900 : 400), now_ms());
    return act();
  }
  FetchAnswer refused{.kind = FetchAnswer::Kind::kRefused, .main_epoch = entry.main_epoch};
  refused.incarnation = entry.incarnation;
  refused.request = entry.request;
  if (!entry.progress_only) answer_fetch({.replica = entry.replica, .answer = refused});
}

void ReplicaLog::fetched(const FetchAnswer& answer, const std::vector<Batch>& batches) {
  if (!replica_) return;
  std::vector<BatchSpan> spans;
  for (const Batch& batch : batches) spans.push_back(batch.span());
  if (answer.kind != FetchAnswer::Kind::kMatched) spans.clear();
  std::vector<Batch> before = std::exchange(arrived_, batches);
  if (!replica_->answered(answer, spans, now_ms())) arrived_ = std::move(before);
  act();
}

// ---- What the cores want done ----

void ReplicaLog::act() {
  if (std::exchange(acting_, true)) return;  // the loop below takes it
  for (bool more = true; std::exchange(more, false);) {
    if (main_) {
      for (const MainAction& action : main_->take_actions()) {
        act_on(action);
        more = true;
      }
    }
    if (replica_) {
      for (const ReplicaAction& action : replica_->take_actions()) {
        act_on(action);
        more = true;
      }
    }
  }
  acting_ = false;
}

void ReplicaLog::act_on(const MainAction& action) {
  if (const auto* fetch = std::get_if<AnswerFetch>(&action)) answer_fetch(*fetch);
  if (const auto* producer = std::get_if<AnswerProducer>(&action))
    owner_.answer(*this, producer->token, producer->error);
  if (const auto* propose = std::get_if<ProposeSet>(&action))
    owner_.propose(*this, propose->proposal);
  if (std::holds_alternative<CommittedMoved>(action)) owner_.committed_moved(*this);
  if (std::holds_alternative<ServingBegins>(action)) owner_.serve_if_ready();
  if (std::holds_alternative<AskForNewEpoch>(action)) owner_.ask_for_new_epoch(epoch());
}

void ReplicaLog::act_on(const ReplicaAction& action) {
  if (const auto* send = std::get_if<SendFetch>(&action))
    node_.send(send->main, [send = *send, at = owner_.partition(), internal = internal_](Node& to) {
      to.copy(at).log(internal).fetch(send.entry, send.at_once);
    });
  if (const auto* arrived = std::get_if<StoreBatches>(&action)) {
    for (const Batch& batch : arrived_) {
      if (batch.header.base_offset >= arrived->from && batch.header.end_offset() <= arrived->to)
        store(batch);
    }
    write();
  }
  if (const auto* log = std::get_if<CutLog>(&action)) cut(*log);
  if (std::holds_alternative<ReplicaCommittedMoved>(action)) owner_.committed_moved(*this);
  if (const auto* failing = std::get_if<PullsFailing>(&action))
    failing_epoch_ = failing->failing ? failing->epoch : 0;
}

// At most a few batches in an answer, and the whole of what is gone where the replica may have to
// begin anew.
void ReplicaLog::answer_fetch(const AnswerFetch& action) {
  const FetchAnswer& answer = action.answer;
  std::vector<Batch> batches;
  if (answer.kind == FetchAnswer::Kind::kMatched) batches = log_.range(answer.from, answer.to);
  if (batches.size() > 20) batches.resize(20);
  const bool differs =
      answer.kind == FetchAnswer::Kind::kReset || answer.kind == FetchAnswer::Kind::kDiverged;
  if (differs) batches = log_.range(0, answer.start);
  node_.send(action.replica,
             [answer, batches = std::move(batches), at = owner_.partition(), internal = internal_](
                 Node& to) { to.copy(at).log(internal).fetched(answer, batches); });
}

void ReplicaLog::cut(const CutLog& cut) {
  const Offset from = cut.restart_at ? cut.from : std::max(cut.from, copy_.start);
  checker().cut(*this, cut.restart_at ? std::max(from, *cut.restart_at) : from, epoch());
  log_.cut(from);
  if (cut.restart_at) {
    checker().forgets(*this);
    // The main's producers come along; and what it has removed, for the checks.
    log_ = {};
    for (const Batch& batch : arrived_) log_.append(batch);
  }
  synced_ = log_.end();
  owner_.was_cut(*this);
  replica_->log_cut(now_ms());
}

// ---- The disk ----

void ReplicaLog::store(const Batch& batch) {
  if (batch.header.base_offset != log_.end())
    violated("a log without gaps", describe() + " " + std::to_string(log_.end()) + " then " +
                                       std::to_string(batch.header.base_offset));
  log_.append(batch);
  owner_.stored(*this, batch.header);
}

// One sync at a time takes everything that was written before it began.
void ReplicaLog::write() {
  if (writing_ || synced_ >= log_.end()) return;
  writing_ = true;
  const Options& options = node_.world().options();
  const Time now = node_.world().schedule().now();
  if (options.lazy_sync || planted(PlantedBug::kDurableBeforeSync)) {
    owner_.durable(*this, log_.end());
    if (main_) main_->durable(log_.end(), now_ms());
    if (replica_) replica_->durable(log_.end(), now_ms());
  }
  Time delay = node_.rng().between(options.sync_time / 2, options.sync_time * 2);
  if (now < node_.slow_until()) delay += node_.rng().below(node_.slow_until() - now + 1);
  node_.world().schedule().after(delay, [this, life = life_, end = log_.end()] {
    if (life != life_) return;
    node_.deliver([this, life, end] {
      if (life != life_) return;
      writing_ = false;
      written(end);
    });
  });
}

void ReplicaLog::written(Offset end) {
  if (node_.world().schedule().now() < node_.full_until()) {
    refuse_unsynced();
  } else {
    synced_ = std::max(synced_, std::min(end, log_.end()));
    owner_.durable(*this, synced_);
    if (main_) main_->durable(synced_, now_ms());
    if (replica_) replica_->durable(synced_, now_ms());
  }
  write();
  act();
}

void ReplicaLog::refuse_unsynced() {
  const Offset from = std::max(synced_, copy_.durable);
  if (from >= log_.end()) return;
  owner_.refused(*this, from);
  if (main_) main_->append_refused(from, now_ms());
  if (replica_) replica_->store_refused(from, now_ms());
  log_.cut(from);
}

}  // namespace andyx::server::sim
