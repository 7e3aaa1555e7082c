#include "tests/sim/nemesis.h"

#include <algorithm>

namespace andyx::raft::sim {

namespace {

constexpr std::uint64_t kNemesisStream = 5;

}  // namespace

Nemesis::Nemesis(World& world) : world_(world), rng_(world.options().seed, kNemesisStream) {}

const std::vector<Nemesis::Weighted>& Nemesis::faults() {
  static const std::vector<Weighted> kFaults{
      {&Nemesis::crash_one, 10, "crash-one"},
      {&Nemesis::crash_in_storage, 12, "crash-in-storage"},
      {&Nemesis::crash_many, 3, "crash-many"},
      {&Nemesis::pause_one, 6, "pause"},
      {&Nemesis::slow_disk, 6, "slow-disk"},
      {&Nemesis::fail_disk, 2, "fail-disk"},
      {&Nemesis::lose_disk, 3, "lose-disk"},
      {&Nemesis::snapshot_not_ready, 2, "snapshot-not-ready"},
      {&Nemesis::isolate, 10, "isolate"},
      {&Nemesis::split, 8, "split"},
      {&Nemesis::cut_one_way, 8, "cut-one-way"},
      {&Nemesis::bridge, 3, "bridge"},
      {&Nemesis::storm, 4, "storm"},
      {&Nemesis::heal, 22, "heal"},
      {&Nemesis::transfer, 8, "transfer"},
      {&Nemesis::forget, 3, "forget-leader"},
      {&Nemesis::campaign, 6, "campaign"},
      {&Nemesis::step_down, 2, "step-down"},
      {&Nemesis::unreachable, 3, "unreachable"},
      {&Nemesis::drift, 3, "drift"},
      {&Nemesis::transfer_deaf, 4, "transfer-deaf"},
      {&Nemesis::coup, 5, "coup"},
  };
  return kFaults;
}

Time Nemesis::pause() {
  const Options& options = world_.options();
  return deafen_next_
             ? options.tick * rng_.between(options.election_ticks, 3 * options.election_ticks)
             : rng_.below(2 * options.fault_mean) + 1;
}

void Nemesis::strike() {
  if (deafen_next_) {
    deafen_next_ = false;
    world_.trace().add({.at = world_.now(), .what = "deafen"});
    deafen();
    return;
  }
  if (world_.options().restless && rng_.permille(700)) {
    world_.trace().add({.at = world_.now(), .what = "restless"});
    rng_.permille(700) ? campaign() : cut_one_way();
    if (rng_.permille(400)) {
      heal();
    }
    return;
  }
  std::uint32_t total = 0;
  for (const Weighted& each : faults()) {
    total += each.weight;
  }
  auto draw = static_cast<std::uint32_t>(rng_.below(total));
  for (const Weighted& each : faults()) {
    if (draw < each.weight) {
      world_.trace().add({.at = world_.now(), .what = each.name});
      (this->*each.fault)();
      return;
    }
    draw -= each.weight;
  }
}

Node* Nemesis::any() {
  const std::vector<PeerId> running = world_.running();
  return running.empty() ? nullptr : world_.node(rng_.pick(running));
}

Node* Nemesis::leader_or_any() {
  Node* leader = rng_.permille(600) ? world_.leader() : nullptr;
  return leader != nullptr && leader->running() ? leader : any();
}

std::vector<PeerId> Nemesis::all() const {
  std::vector<PeerId> ids;
  for (PeerId id = 1; id <= world_.last_id(); id++) {
    if (!world_.gone(id)) {
      ids.push_back(id);
    }
  }
  return ids;
}

void Nemesis::crash_one() {
  if (Node* node = leader_or_any()) {
    // Some are back before anybody has noticed.
    const Time down = rng_.permille(400) ? rng_.between(1, 100) : rng_.between(100, 10'000);
    world_.crash(*node, down * kMillisecond);
  }
}

void Nemesis::crash_in_storage() {
  if (Node* node = leader_or_any()) {
    node->crash_at_step(static_cast<std::uint32_t>(rng_.between(1, 12)));
  }
}

void Nemesis::crash_many() {
  const std::uint32_t share = rng_.permille(500) ? 1000 : 500;
  for (const PeerId id : world_.running()) {
    if (rng_.permille(share)) {
      world_.crash(*world_.node(id), rng_.between(1, 3000) * kMillisecond);
    }
  }
}

void Nemesis::pause_one() {
  if (Node* node = leader_or_any()) {
    world_.pause(*node, rng_.between(50, 6000) * kMillisecond);
  }
}

void Nemesis::slow_disk() {
  if (Node* node = leader_or_any()) {
    node->slow_disk(static_cast<std::uint32_t>(rng_.permille(400) ? 1 : rng_.between(5, 200)));
  }
}

void Nemesis::fail_disk() {
  if (Node* node = any()) {
    node->fail_disk();
  }
}

// Only where the rest can go on for certain: a voter whose vote is lost for good counts against
// every majority until it is removed.
void Nemesis::lose_disk() {
  const Node* leader = world_.leader();
  const ConfState& conf = world_.conf();
  if (!world_.options().atomic_writes ||  // see there: it will be replaced by a change
      leader == nullptr || conf.voters.size() < 3 || !conf.voters_outgoing.empty() ||
      leader->conf() != conf || leader->machine().applied() != leader->core().last_index() ||
      std::any_of(conf.voters.begin(), conf.voters.end(),
                  [this](PeerId id) { return !world_.knows_membership(id); })) {
    return;
  }
  world_.wipe(*world_.node(rng_.pick(conf.voters)));
}

void Nemesis::snapshot_not_ready() {
  for (const PeerId id : world_.running()) {
    world_.node(id)->disk().set_snapshot_ready(rng_.permille(500));
  }
}

void Nemesis::isolate() {
  if (const Node* node = leader_or_any()) {
    for (const PeerId id : all()) {
      world_.network().cut(node->id(), id);
      world_.network().cut(id, node->id());
    }
  }
}

void Nemesis::split() {
  std::vector<PeerId> left;
  std::vector<PeerId> right;
  for (const PeerId id : all()) {
    (rng_.permille(500) ? left : right).push_back(id);
  }
  for (const PeerId a : left) {
    for (const PeerId b : right) {
      world_.network().cut(a, b);
      world_.network().cut(b, a);
    }
  }
}

void Nemesis::cut_one_way() {
  const std::vector<PeerId> ids = all();
  const bool whole = rng_.permille(500);  // it hears nobody, or nobody hears it
  const bool hears = rng_.permille(500);
  const Node* node = leader_or_any();
  if (node == nullptr) {
    return;
  }
  for (const PeerId id : ids) {
    if (whole || rng_.permille(400)) {
      world_.network().cut(hears ? node->id() : id, hears ? id : node->id());
    }
  }
}

// Two halves that see each other only through one peer.
void Nemesis::bridge() {
  const std::vector<PeerId> ids = all();
  const PeerId middle = ids.empty() ? kNone : rng_.pick(ids);
  for (const PeerId a : ids) {
    for (const PeerId b : ids) {
      if (a != middle && b != middle && a % 2 != b % 2) {
        world_.network().cut(a, b);
      }
    }
  }
}

void Nemesis::storm() {
  world_.network().storm(static_cast<std::uint32_t>(rng_.between(100, 500)));
}

void Nemesis::heal() { world_.network().heal(); }

void Nemesis::transfer() {
  Node* node = leader_or_any();
  const ConfState& conf = world_.conf();
  if (node != nullptr && !conf.voters.empty()) {
    const PeerId to = rng_.permille(900) ? rng_.pick(conf.voters) : rng_.pick(all());
    node->with_core([to](RawNode& core) { core.transfer_leader(to); });
  }
}

void Nemesis::forget() {
  if (Node* node = any()) {
    node->with_core([](RawNode& core) { static_cast<void>(core.forget_leader()); });
  }
}

void Nemesis::campaign() {
  // An order to campaign breaks the lease that the peer itself has promised.
  if (Node* node = world_.options().lease ? nullptr : any()) {
    node->with_core([](RawNode& core) { static_cast<void>(core.campaign()); });
  }
}

void Nemesis::step_down() {
  if (Node* node = leader_or_any()) {
    node->with_core([](RawNode& core) { core.step_down(); });
  }
}

void Nemesis::unreachable() {
  Node* node = leader_or_any();
  if (node != nullptr) {
    const PeerId peer = rng_.pick(all());
    node->with_core([peer](RawNode& core) { core.report_unreachable(peer); });
  }
}

void Nemesis::deafen() {
  if (const Node* leader = world_.leader()) {
    for (const PeerId id : all()) {
      world_.network().cut(id, leader->id());
    }
  }
}

void Nemesis::transfer_deaf() {
  Node* leader = world_.leader();
  if (leader != nullptr && !world_.conf().voters.empty()) {
    world_.network().heal();
    deafen();
    const PeerId to = rng_.pick(world_.conf().voters);
    leader->with_core([to](RawNode& core) { core.transfer_leader(to); });
  }
}

void Nemesis::coup() {
  const Node* leader = world_.leader();
  const ConfState& conf = world_.conf();
  if (leader == nullptr || conf.voters.empty()) {
    return;
  }
  world_.network().heal();
  const PeerId rival = rng_.pick(conf.voters);
  world_.network().cut(leader->id(), rival);
  world_.network().cut(rival, leader->id());
  deafen_next_ = true;
}

void Nemesis::drift() {
  if (Node* node = any()) {
    const Options& options = world_.options();
    const Time by = options.tick / 1000 * rng_.between(0, options.drift);
    node->set_tick_period(rng_.permille(500) ? options.tick + by : options.tick - by);
  }
}

}  // namespace andyx::raft::sim
