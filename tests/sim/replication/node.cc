#include "tests/sim/replication/node.h"

#include <utility>

#include "server/metadata/partition_replication.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

Node::Node(NodeId id, World& world) : id_(id), world_(world), rng_(world.options().seed, 100 + id) {
  for (std::uint32_t partition = 0; partition < world.options().partitions; ++partition)
    copies_.emplace_back(*this, partition);
}

std::string Node::describe() const {
  std::string out = "node " + std::to_string(id_) + (up_ ? paused_ ? " paused" : " up" : " down");
  for (const Copy& copy : copies_) out += copy.describe();
  return out;
}

// ---- The process ----

void Node::start() {
  up_ = true;
  ++life_;
  incarnation_ = world_.next_incarnation();
  heard_ms_ = 0;
  for (Copy& copy : copies_) copy.start();
  every(300 * kMs, [this] { report(); });
  every(50 * kMs, [this] { tick(); });
}

void Node::crash() {
  if (!up_) return;
  up_ = paused_ = false;
  ++life_;
  inbox_.clear();
  image_ = nullptr;
  for (Copy& copy : copies_) copy.crash();
  // Until it has been registered so; a node that crashes before says it once more.
  if (world_.options().lazy_sync) intact_ = false;
  world_.process_ended(id_);
}

void Node::wipe() {
  for (Copy& copy : copies_) copy.wipe();
  intact_ = false;
}

void Node::pause() { paused_ = up_; }

void Node::resume() {
  if (!paused_) return;
  paused_ = false;
  for (auto& what : std::exchange(inbox_, {})) {
    if (!up_) return;
    what();
    world_.check(*this);
  }
}

void Node::deliver(std::function<void()> what) {
  if (!up_) return;
  if (paused_) {
    inbox_.push_back(std::move(what));
    return;
  }
  what();
  world_.check(*this);
}

void Node::send(NodeId to, std::function<void(Node&)> what) {
  world_.network().send(id_, to, [&there = world_.node(to), what = std::move(what)] {
    there.deliver([&there, what] { what(there); });
  });
}

void Node::later(Time delay, std::function<void()> what) {
  world_.schedule().after(delay, [this, life = life_, what = std::move(what)] {
    if (life == life_) deliver(what);
  });
}

void Node::every(Time interval, std::function<void()> what) {
  const std::uint64_t life = life_;
  world_.schedule().after(rng_.below(interval), [this, life, interval, what] {
    if (life != life_) return;
    if (!paused_) {
      what();
      world_.check(*this);
    }
    world_.schedule().after(interval - interval / 2, [this, life, interval, what] {
      if (life == life_) every(interval, what);
    });
  });
}

void Node::tick() {
  for (Copy& copy : copies_) copy.tick();
}

// ---- The controller ----

void Node::report() {
  Heartbeat report{.node = id_,
                   .incarnation = incarnation_,
                   .intact = intact_,
                   .sent = world_.schedule().now(),
                   .registered = false,
                   .health = {}};
  if (image_ != nullptr) {
    const auto self = image_->find_node(id_);
    report.registered = self && self->incarnation == incarnation_;
    report.health.version = image_->position;
    if (slow_until_ > world_.schedule().now() + 2 * kSecond)
      report.health.oldest_write_ms = world_.options().slow_disk_ms;
    const auto topic = image_->topics_by_id.begin();
    for (const Copy& copy : copies_) {
      if (copy.pulls_failing())
        report.health.failing_pulls.push_back(topic->partitions()[copy.partition()].partition_id);
    }
  }
  world_.network().send(id_, kController,
                        [&world = world_, report] { world.controller().heartbeat(report); });
}

void Node::told(const std::shared_ptr<const Image>& image, Time asked) {
  if (asked != 0) {
    heard_ms_ = std::max<std::uint64_t>(heard_ms_, asked / kMs);
    for (Copy& copy : copies_) copy.controller_answered(heard_ms_);
  }
  if (image_ != nullptr && image->position <= image_->position) return;
  if (image->topics_by_id.begin() == image->topics_by_id.end()) return;  // still being founded
  const auto self = image->find_node(id_);
  // An image from before this start says nothing about this incarnation.
  if (!self || self->incarnation != incarnation_) return;
  intact_ = true;  // it was taken as it was, and what it holds from here on is whole
  image_ = image;
  adopt();
}

void Node::adopt() {
  const auto topic = image_->topics_by_id.begin();
  for (Copy& copy : copies_)
    copy.adopt(replication_record(*image_, topic->partitions()[copy.partition()]));
}

// ---- Consumers ----

void Node::connection_lost(std::uint64_t connection) {
  for (Copy& copy : copies_) copy.connection_lost(connection);
}

// Ready on the main of every partition, then the coordinator decides.
void Node::subscribe(const SubscribeRequest& request, SubscribeReply reply) {
  const auto refuse = [&](ErrorCode code) {
    reply({.error = code, .attach_epoch = 0, .grants = {}});
  };
  if (image_ == nullptr) return refuse(ErrorCode::kNotMain);
  const auto topic = image_->topics_by_id.begin();
  const auto record = topic->subscriptions.find(std::string_view(request.subscription));
  if (!record) return refuse(ErrorCode::kUnknownSubscription);
  if (!copies_[record->coordinator].may_attach()) return refuse(ErrorCode::kNotMain);
  struct Round {
    std::size_t left = 0;
    bool answered = false;
  };
  auto round = std::make_shared<Round>(Round{.left = copies_.size()});
  const auto decide = [this, round, request, reply, id = record->id,
                       at = record->coordinator](ErrorCode error) {
    if (round->answered || (error == ErrorCode::kOk && --round->left > 0)) return;
    round->answered = true;
    if (error != ErrorCode::kOk) return reply({.error = error, .attach_epoch = 0, .grants = {}});
    copies_[at].attach(id, request, reply);
  };
  later(2 * kSecond, [decide] { decide(ErrorCode::kTimedOut); });
  for (const PartitionRecord& partition : topic->partitions()) {
    if (partition.main == 0) return decide(ErrorCode::kNotMain);
    const auto ready = [from = id_, life = life_, &here = *this, decide](Node& there) {
      return [from, life, &here, decide, &there](ErrorCode error) {
        const auto back = [life, &here, decide, error] {
          if (life == here.life_) decide(error);
        };
        if (there.id() == from) return back();
        there.send(from, [back](Node&) { back(); });
      };
    };
    const auto ask = [id = record->id, at = partition.index, ready](Node& there) {
      there.copy(at).when_ready(id, ready(there));
    };
    if (partition.main == id_)
      ask(*this);
    else
      send(partition.main, ask);
  }
}

}  // namespace andyx::server::sim
