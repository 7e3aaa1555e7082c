#include "tests/sim/replication/node.h"

#include "server/replication/planted.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

Node::Node(NodeId id, World& world)
    : id_(id), world_(world), rng_(world.options().seed, 100 + id), disk_(id) {}

MainEpoch Node::epoch() const {
  if (main_) return main_->epoch();
  return replica_ ? replica_->epoch() : 0;
}

std::string Node::describe() const {
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
  return "node " + n(id_) + (up_ ? paused_ ? " paused" : " up" : " down") +
         (main_ ? main_->serving() ? " main" : " main, not serving" : " replica") + " epoch " +
         n(epoch()) + " version " + n(image_.record.version) + " log " + n(copy_.start) + ".." +
         n(copy_.end) + " durable " + n(copy_.durable) + " committed " + n(copy_.committed) + more;
}

void Node::start() {
  up_ = true;
  ++life_;
  incarnation_ = world_.next_incarnation();
  copy_.end = copy_.durable = log_.end();
  copy_.start = std::min(copy_.start, copy_.end);  // the move of the start is lost with the rest
  copy_.committed = copy_.start;
  // The table is stored with the batches.
  copy_.epochs.truncate(copy_.end);
  copy_.epochs = EpochTable::decode(copy_.epochs.encode()).value();
  rebuild_producers();
  heard_ms_ = 0;
  next_request_ = 1;
  every(300 * kMs, [this] { heartbeat(); });
  every(50 * kMs, [this] { tick(); });
}

void Node::crash() {
  if (!up_) return;
  up_ = paused_ = false;
  ++life_;
  inbox_.clear();
  main_.reset();
  replica_.reset();
  waiting_.clear();
  writing_ = false;
  image_ = {};
  // Of what was not synced, whole batches may survive, from the first on.
  Offset kept = synced_;
  for (const Batch& batch : log_.range(synced_, log_.end())) {
    if (!rng_.one_in(3)) break;
    kept = batch.header.end_offset();
  }
  log_.cut(kept);
  synced_ = kept;
  clean_ = !world_.options().lazy_sync;
  world_.checker().forgets(*this);
}

void Node::wipe() {
  log_ = {};
  synced_ = 0;
  copy_ = {};
  disk_ = world_.next_incarnation() << 8;
}

void Node::pause() { paused_ = up_; }

void Node::resume() {
  if (!paused_) return;
  paused_ = false;
  for (auto& what : std::exchange(inbox_, {})) {
    if (!up_) return;
    what();
    world_.checked(*this);
  }
}

void Node::deliver(std::function<void()> what) {
  if (!up_) return;
  if (paused_) {
    inbox_.push_back(std::move(what));
    return;
  }
  what();
  world_.checked(*this);
}

void Node::every(Time interval, std::function<void()> what) {
  const std::uint64_t life = life_;
  world_.schedule().after(rng_.below(interval), [this, life, interval, what] {
    if (life != life_) return;
    if (!paused_) {
      what();
      world_.checked(*this);
    }
    world_.schedule().after(interval - interval / 2, [this, life, interval, what] {
      if (life == life_) every(interval, what);
    });
  });
}

void Node::heartbeat() {
  const Heartbeat heartbeat{.node = id_,
                            .incarnation = incarnation_,
                            .disk = disk_,
                            .clean = clean_,
                            .sent = world_.schedule().now(),
                            .failing_epoch = failing_epoch_};
  world_.network().send(id_, kController,
                        [&world = world_, heartbeat] { world.controller().heartbeat(heartbeat); });
}

void Node::tick() {
  if (main_) main_->tick(world_.schedule().now_ms());
  if (replica_) replica_->tick(world_.schedule().now_ms());
  act();
}

void Node::told(const KnownImage& image, Time asked) {
  if (asked != 0) {
    heard_ms_ = std::max<std::uint64_t>(heard_ms_, asked / kMs);
    if (main_) main_->controller_answered(heard_ms_);
  }
  const ReplicaMember* self = image.record.find(id_);
  // An image from before this start says nothing about this incarnation.
  if (image.position < image_.position || self->incarnation < incarnation_) return;
  image_ = image;
  adopt();
  act();
}

void Node::adopt() {
  const ReplicationRecord& record = image_.record;
  if (main_) main_->image_moved(record, world_.schedule().now_ms());
  act();
  if (record.main == id_ && (!main_ || main_->epoch() < record.main_epoch))
    become_main();
  else if (record.main != id_ && (!main_ || main_->resigned()))
    follow();
}

void Node::become_main() {
  if (replica_) next_request_ = replica_->next_request();
  replica_.reset();
  failing_epoch_ = 0;
  main_ =
      std::make_unique<MainCore>(id_, image_.record, copy_, heard_ms_, world_.schedule().now_ms());
  world_.checker().main_begins(*this);
}

void Node::follow() {
  main_.reset();
  if (!replica_) replica_ = std::make_unique<ReplicaCore>(id_, incarnation_, copy_, next_request_);
  if (image_.record.main_epoch > replica_->epoch()) failing_epoch_ = 0;
  replica_->follow(image_.record.main_epoch, image_.record.main, world_.schedule().now_ms());
}

void Node::fetch(const FetchEntry& entry, bool at_once) {
  if (main_) {
    const std::uint64_t now = world_.schedule().now_ms();
    main_->fetch(entry, at_once ? now : now + 400, now);
    return act();
  }
  FetchAnswer refused{.kind = FetchAnswer::Kind::kRefused, .main_epoch = entry.main_epoch};
  refused.incarnation = entry.incarnation;
  refused.request = entry.request;
  if (!entry.progress_only) answer_fetch({.replica = entry.replica, .answer = refused});
}

void Node::fetched(const FetchAnswer& answer, const std::vector<Batch>& batches) {
  if (!replica_) return;
  std::vector<BatchSpan> spans;
  for (const Batch& batch : batches) spans.push_back(batch.span());
  if (answer.kind != FetchAnswer::Kind::kMatched) spans.clear();
  std::vector<Batch> before = std::exchange(arrived_, batches);
  if (!replica_->answered(answer, spans, world_.schedule().now_ms())) arrived_ = std::move(before);
  act();
}

void Node::produce(Batch batch, protocol::Acks acks, Reply reply) {
  const std::uint64_t now = world_.schedule().now_ms();
  if (!main_ || main_->resigned()) return reply({.error = ErrorCode::kNotMain});
  const MainEpoch epoch = main_->epoch();
  const auto verdict = producers_.check(batch.header);
  if (!verdict) return reply({.error = verdict.error().code, .epoch = epoch});
  const std::uint64_t token = next_token_++;
  if (verdict->duplicate && verdict->original.end_offset > copy_.end)
    violated("producers follow the log", describe());
  if (verdict->duplicate) {
    waiting_.emplace(token, Waiting{acks, epoch, verdict->original.base_offset, std::move(reply)});
    main_->duplicate(verdict->original.end_offset, acks, token, now);
    return act();
  }
  if (const Status may = main_->may_append(acks, now); !may)
    return reply({.error = may.error().code, .epoch = epoch});
  batch.header.main_epoch = epoch;
  batch.header.base_offset = copy_.end;
  waiting_.emplace(token, Waiting{acks, epoch, batch.header.base_offset, std::move(reply)});
  append(batch);
  main_->appended(batch.header.end_offset(), acks, token, now);
  write();
  act();
}

void Node::retain(Offset from) {
  if (main() == nullptr || from > copy_.committed) return;
  main_->start_advanced(from);
}

}  // namespace andyx::server::sim
