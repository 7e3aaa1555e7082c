// How a run goes: events in order of time, then healing, then what must have become of it.
#include <algorithm>
#include <utility>

#include "raft/core/describe.h"
#include "tests/sim/admin.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/world.h"

namespace andyx::raft::sim {

namespace {

constexpr Time kPoll = 5 * kMillisecond;        // of a paused peer whose disk is done
constexpr Time kLivenessBound = 120 * kSecond;  // after healing
constexpr Time kAuditEvery = 40 * kMillisecond;
constexpr Time kProbeEvery = 500 * kMillisecond;

}  // namespace

void World::handle(const Event& event) {
  Node* at = node(event.peer);
  const bool current = at != nullptr && at->up() && at->incarnation() == event.incarnation;
  switch (event.kind) {
    case Kind::kDeliver:
      deliver(event);
      return;
    case Kind::kTick:
      if (current) {
        at->tick();
      }
      return;
    case Kind::kStorageDone:
    case Kind::kApplyDone:
      if (current && !at->running()) {
        push(event, kPoll);
      } else if (current && event.kind == Kind::kStorageDone) {
        at->storage_done();
      } else if (current) {
        at->apply_done();
      }
      return;
    case Kind::kSnapshotReport:
      if (current && !at->running()) {
        push(event, kPoll);
      } else if (current) {
        at->with_core([peer = event.more, failed = event.failed](RawNode& core) {
          core.report_snapshot(peer, failed);
        });
      }
      return;
    case Kind::kRestart:
      if (at != nullptr && !at->up() && !peers_[event.peer].gone &&
          at->incarnation() == event.incarnation) {
        trace_.add({.at = now_, .what = "start", .peer = event.peer});
        at->start();
      }
      return;
    case Kind::kResume:
      if (current && !at->running()) {
        trace_.add({.at = now_, .what = "resume", .peer = event.peer});
        at->resume();
      }
      return;
    case Kind::kClient:
      client_turn(event);
      return;
    case Kind::kAudit:
      audit_leaders();
      push(event, kAuditEvery);
      return;
    case Kind::kFault:
      if (!healing_) {
        nemesis_->strike();
        push(event, nemesis_->pause());
      }
      return;
    case Kind::kAdmin:
      admin_->act();
      push(event, admin_->pause());
      return;
  }
}

// Reads at every leader but the newest: those that could answer with what is outdated.
void World::audit_leaders() {
  const Node* const newest = leader();
  for (PeerId id = 1; id < peers_.size(); id++) {
    Node& each = *peers_[id].node;
    if (&each != newest && each.running() && each.core().soft_state().role == Role::kLeader) {
      each.read(clients_.audit(id));
    }
  }
}

void World::run_until(Time end) {
  while (!events_.empty() && events_.top().at <= end) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    counts_.events++;
    trace_.add(
        {.at = now_, .peer = event.peer, .more = std::uint64_t{std::to_underlying(event.kind)}});
    handle(event);
    if (clients_.any_done()) {
      for (const std::uint32_t client : clients_.take_done()) {
        push({.kind = Kind::kClient, .incarnation = ++client_turns_[client], .more = client},
             clients_.pause(client));
      }
    }
  }
  now_ = end;
}

// The end of all faults: whatever there was, the group has to find together now.
void World::heal() {
  healing_ = true;
  network_.calm();
  for (PeerId id = 1; id < peers_.size(); id++) {
    Node& each = *peers_[id].node;
    each.slow_disk(1);
    each.crash_at_step(0);
    each.set_tick_period(options_.tick);
    each.disk().set_snapshot_ready(true);
    if (each.up() && !each.running()) {
      each.resume();
    } else if (!each.up() && !peers_[id].gone) {
      each.start();
    }
  }
}

bool World::stranded() const {
  const auto quorum = [this](const std::vector<PeerId>& voters) {
    const auto alive =
        std::count_if(voters.begin(), voters.end(), [this](PeerId id) { return !gone(id); });
    return voters.empty() || static_cast<std::size_t>(alive) > voters.size() / 2;
  };
  return !quorum(conf_.voters) || !quorum(conf_.voters_outgoing);
}

// A leader, outside of any joint configuration; every member that has a disk holds its whole log
// and has applied it; a proposal of after the healing among it.
bool World::settled() {
  Node* const first = leader();
  if (first == nullptr || !first->conf().voters_outgoing.empty()) {
    return false;
  }
  const Index last = first->core().last_index();
  const auto equal = [&](const std::vector<PeerId>& ids) {
    return std::all_of(ids.begin(), ids.end(), [&](PeerId id) {
      if (gone(id)) {
        return true;
      }
      const Node& each = *node(id);
      return each.up() && each.core().last_index() == last && each.machine().applied() == last &&
             each.machine().chain() == first->machine().chain();
    });
  };
  return probes_ > 1 && first->machine().outcome(kProbeClient).sequence == probes_ &&
         equal(first->conf().voters) && equal(first->conf().learners);
}

// Without pre-vote two peers whose memberships differ may raise their terms side by side for ever:
// as in etcd, nobody tells a candidate that its term is too low, or a leader. An operator would
// make the one with the longer log campaign.
void World::help() {
  Node* best = nullptr;
  for (const PeerId id : conf_.voters) {
    Node* const each = gone(id) ? nullptr : node(id);
    if (each != nullptr && each->running() &&
        (best == nullptr || each->core().last_index() > best->core().last_index())) {
      best = each;
    }
  }
  if (best == nullptr) {
    return;
  }
  const Term term = best->core().hard_state().term;
  const bool behind = std::any_of(conf_.voters.begin(), conf_.voters.end(), [&](PeerId id) {
    return !gone(id) && node(id)->up() && node(id)->core().hard_state().term > term;
  });
  if (leader() == nullptr || behind) {
    helped_ = true;
    best->with_core([](RawNode& core) {
      core.step_down();
      static_cast<void>(core.campaign());
    });
  }
}

void World::run() {
  for (PeerId id = 1; id < peers_.size(); id++) {
    peers_[id].node->start();
  }
  run_until(options_.duration);
  heal();
  const Time end = now_ + kLivenessBound;
  Time probe = now_;
  while (now_ < end) {
    run_until(now_ + 50 * kMillisecond);
    if (settled()) {
      return;
    }
    if (stranded()) {
      stranded_ = true;
      return;
    }
    if (!options_.pre_vote && now_ + kLivenessBound / 2 > end) {
      help();
    }
    Node* const first = leader();
    if (first != nullptr && now_ >= probe &&
        (probes_ == 0 || first->machine().applied() == first->core().last_index())) {
      probe = now_ + kProbeEvery;
      first->request(encode({.client = kProbeClient, .sequence = ++probes_}, 0));
    }
  }
  std::string detail = "120 s after healing ";
  Node* const first = leader();
  detail += first == nullptr ? "nobody leads" : "peer " + std::to_string(first->id()) + " leads";
  detail += " and members differ";
  violated("liveness", detail);
}

std::string World::describe_peers() const {
  std::string detail = "  newest membership: " + andyx::raft::describe(conf_) + ", of index " +
                       std::to_string(conf_index_) + '\n';
  for (PeerId id = 1; id < peers_.size(); id++) {
    const Node& each = *peers_[id].node;
    if (each.up()) {
      detail += "  peer " + std::to_string(id) + ": " +
                andyx::raft::describe(each.core().hard_state()) +
                " applied:" + std::to_string(each.machine().applied()) +
                " last:" + std::to_string(each.core().last_index()) + " " +
                andyx::raft::describe(each.conf()) + '\n';
    }
  }
  return detail;
}

RunResult World::result() const {
  return {.options = options_,
          .counts = counts_,
          .elections = checker_.elections(),
          .commits = checker_.applied_anywhere(),
          .answered = clients_.answered(),
          .virtual_time = now_,
          .trace_hash = trace_.hash(),
          .stranded = stranded_,
          .helped = helped_};
}

RunResult run_seed(const Options& options, std::size_t trace_lines) {
  const auto world = std::make_unique<World>(options);
  std::optional<Violation> violation;
  try {
    world->run();
  } catch (Violation& found) {
    violation = std::move(found);
  }
  RunResult result = world->result();
  if (violation) {
    result.trace = world->describe_peers() + world->trace().tail(trace_lines);
    result.violation = std::move(violation);
  }
  return result;
}

}  // namespace andyx::raft::sim
