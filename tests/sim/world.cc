#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

#include "raft/core/describe.h"
#include "raft/core/planted.h"
#include "tests/sim/admin.h"
#include "tests/sim/nemesis.h"

namespace andyx::raft::sim {

namespace {

constexpr std::uint64_t kWorldStream = 4;
constexpr Index kFirstIndex = 5;  // of the snapshot that a new group starts from

}  // namespace

class World::PanicLogger final : public Logger {
 public:
  bool enabled(LogLevel /*level*/) const override { return false; }
  void log(LogLevel /*level*/, std::string_view /*line*/) override {}
  [[noreturn]] void panic(std::string_view line) override {
    violated("no panic", std::string(line));
  }
};

World::World(const Options& options)
    : options_(options),
      logger_(std::make_unique<PanicLogger>()),
      rng_(options.seed, kWorldStream),
      checker_(
          [this](PeerId id) -> const Disk* {
            return id < peers_.size() && peers_[id].node ? &peers_[id].node->disk() : nullptr;
          },
          options.validate),
      clients_(options_, checker_),
      network_(options_),
      nemesis_(std::make_unique<Nemesis>(*this)),
      admin_(std::make_unique<Admin>(*this)),
      peers_(1) {
  Machine machine;
  machine.set_start(kFirstIndex);
  const std::uint32_t size = options_.voters + options_.learners;
  for (PeerId id = 1; id <= size; id++) {
    (id <= options_.voters ? conf_.voters : conf_.learners).push_back(id);
  }
  const auto snapshot = std::make_shared<const Snapshot>(
      Snapshot{.meta = {.index = kFirstIndex, .term = 1, .conf = conf_}, .data = machine.save()});
  conf_index_ = kFirstIndex;
  checker_.begin(snapshot->meta, machine);
  peers_.resize(size + 1);
  for (PeerId id = 1; id <= size; id++) {
    peers_[id].node = std::make_unique<Node>(id, *this);
    peers_[id].member = true;
    peers_[id].node->format(snapshot);
    checker_.synced(id, peers_[id].node->disk());
  }
  client_turns_.resize(options_.clients);
  for (std::uint32_t client = 0; client < options_.clients; client++) {
    push({.kind = Kind::kClient, .more = client}, rng_.below(kSecond));
  }
  push({.kind = Kind::kAudit}, kSecond);
  push({.kind = Kind::kFault}, nemesis_->pause());
  push({.kind = Kind::kAdmin}, admin_->pause());
}

World::~World() = default;

void World::push(Event event, Time delay) {
  event.at = now_ + delay;
  event.order = order_++;
  events_.push(event);
}

void World::later(Later what, const Node& node, Time delay) {
  constexpr Kind kKinds[] = {Kind::kTick, Kind::kStorageDone, Kind::kApplyDone};
  push({.kind = kKinds[std::to_underlying(what)],
        .peer = node.id(),
        .incarnation = node.incarnation()},
       delay);
}

void World::send(Message message) {
  const PeerId from = message.from;
  const PeerId to = message.to;
  if (to >= peers_.size() || from >= peers_.size()) {
    violated("known peers", "a message to peer " + std::to_string(to));
  }
  const Network::Arrivals arrivals = network_.send(from, to, now_);
  const bool snapshot = message.type == MessageType::kSnapshot;
  if (arrivals.count == 0) {
    if (snapshot) {
      push({.kind = Kind::kSnapshotReport,
            .failed = true,
            .peer = from,
            .incarnation = peers_[from].node->incarnation(),
            .more = to},
           200 * kMillisecond);
    }
    return;
  }
  for (std::size_t i = 0; i < arrivals.count; i++) {
    std::size_t slot = messages_.size();
    if (free_messages_.empty()) {
      messages_.emplace_back();
    } else {
      slot = free_messages_.back();
      free_messages_.pop_back();
    }
    messages_[slot] = i + 1 == arrivals.count ? std::move(message) : message;
    push({.kind = Kind::kDeliver,
          .peer = to,
          .incarnation = peers_[from].node->incarnation(),
          .more = slot},
         arrivals.at[i] - now_);
  }
}

void World::deliver(const Event& event) {
  Message message = std::move(messages_[event.more]);
  free_messages_.push_back(event.more);
  Node* to = node(event.peer);
  const bool reached = to != nullptr && to->up();
  trace_.add({.at = now_,
              .what = text(message.type),
              .peer = message.to,
              .other = message.from,
              .term = message.term,
              .index = message.index,
              .more = message.reject ? 1u : message.commit});
  if (message.type == MessageType::kSnapshot) {
    push({.kind = Kind::kSnapshotReport,
          .failed = !reached,
          .peer = message.from,
          .incarnation = event.incarnation,
          .more = message.to},
         kMillisecond);
  }
  if (reached) {
    to->receive(std::move(message));
  }
}

void World::went_down(Node& node) {
  push({.kind = Kind::kRestart, .peer = node.id(), .incarnation = node.incarnation()},
       healing_ ? 100 * kMillisecond : rng_.between(10, 5000) * kMillisecond);
}

void World::changed(Index index, const ConfState& conf) {
  if (index <= conf_index_) {
    return;
  }
  conf_index_ = index;
  trace_.add({.at = now_, .what = "membership", .index = index, .more = conf.voters.size()});
  counts_.changes += conf == conf_ ? 0 : 1;
  conf_ = conf;
  for (const auto* ids : {&conf.voters, &conf.learners}) {
    for (const PeerId id : *ids) {
      if (id < peers_.size()) {
        peers_[id].member = true;
      }
    }
  }
}

std::vector<PeerId> World::running() const {
  std::vector<PeerId> ids;
  for (PeerId id = 1; id < peers_.size(); id++) {
    if (peers_[id].node->running()) {
      ids.push_back(id);
    }
  }
  return ids;
}

Node* World::leader() {
  Node* found = nullptr;
  for (Peer& peer : peers_) {
    if (peer.node && peer.node->up() && peer.node->core().soft_state().role == Role::kLeader &&
        (found == nullptr ||
         found->core().hard_state().term < peer.node->core().hard_state().term)) {
      found = peer.node.get();
    }
  }
  return found;
}

bool World::knows_membership(PeerId id) const {
  if (gone(id)) {
    return false;
  }
  const Node& peer = *peers_[id].node;
  const Index known = healing_ ? peer.machine().applied() : peer.disk().durable_hard().commit;
  return known >= conf_index_;
}

PeerId World::add_peer() {
  const PeerId id = peers_.size();
  peers_.emplace_back().node = std::make_unique<Node>(id, *this);
  peers_.back().node->start();
  return id;
}

void World::crash(Node& node, Time down) {
  node.crash();
  push({.kind = Kind::kRestart, .peer = node.id(), .incarnation = node.incarnation()}, down);
}

void World::pause(Node& node, Time length) {
  node.pause();
  push({.kind = Kind::kResume, .peer = node.id(), .incarnation = node.incarnation()}, length);
}

void World::remove(Node& node) {
  if (node.up()) {
    node.crash();
  }
  peers_[node.id()].gone = true;
}

void World::wipe(Node& node) {
  const PeerId id = node.id();
  remove(node);
  if (planted(Bug::kWipedNodeVotes)) {
    const std::uint32_t incarnation = node.incarnation();
    peers_[id].former = std::exchange(peers_[id].node, std::make_unique<Node>(id, *this));
    peers_[id].node->continue_from(incarnation);
    peers_[id].gone = false;
    checker_.replaced(id);
    peers_[id].node->start();
  }
}

void World::client_turn(const Event& event) {
  const auto client = static_cast<std::uint32_t>(event.more);
  if (event.incarnation != client_turns_[client] || healing_) {
    return;  // it was answered before its time-out
  }
  const std::vector<PeerId> peers = running();
  if (!peers.empty()) {
    if (const Node* known = leader(); known != nullptr && known->running()) {
      clients_.hint(known->id());
    }
    const Clients::Request request = clients_.next(client, peers);
    Node& at = *node(request.peer);
    if (request.read) {
      at.read(request.context);
    } else {
      at.request(encode(request.command, request.padding_bytes));
    }
  }
  push({.kind = Kind::kClient, .incarnation = client_turns_[client], .more = client},
       clients_.pause(client));
}

}  // namespace andyx::raft::sim
