#include "tests/sim/admin.h"

#include <algorithm>
#include <string>

#include "tests/sim/network.h"

namespace andyx::raft::sim {

namespace {

constexpr std::uint64_t kAdminStream = 6;
constexpr std::size_t kMaxVoters = 5;
constexpr std::size_t kMaxLearners = 2;

bool holds(const std::vector<PeerId>& ids, PeerId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool member(const ConfState& conf, PeerId id) {
  return holds(conf.voters, id) || holds(conf.voters_outgoing, id) || holds(conf.learners, id) ||
         holds(conf.learners_next, id);
}

}  // namespace

Admin::Admin(World& world) : world_(world), rng_(world.options().seed, kAdminStream) {}

Time Admin::pause() {
  return (world_.healing() ? kSecond : 1) + rng_.below(2 * world_.options().change_mean);
}

void Admin::act() {
  retire_removed();
  const ConfState& conf = world_.conf();
  const bool joint = !conf.voters_outgoing.empty();
  if (joint && (!conf.auto_leave || rng_.permille(100))) {
    propose({});  // leave
    return;
  }
  const bool lost = std::any_of(conf.voters.begin(), conf.voters.end(),
                                [this](PeerId id) { return world_.gone(id); }) ||
                    std::any_of(conf.learners.begin(), conf.learners.end(),
                                [this](PeerId id) { return world_.gone(id); });
  if (world_.healing() || (!world_.options().membership && !lost)) {
    return;
  }
  propose(draw_change());
  if (rng_.permille(400)) {
    propose(draw_change());  // before the first is through: the core has to refuse it
  }
}

void Admin::propose(ConfChange change) {
  Node* at = world_.leader();
  if (at == nullptr || !at->running()) {
    return;
  }
  if (!world_.options().validate) {
    change.context = std::to_string(at->machine().conf_version());
    if (change.leaves_joint()) {
      change.v1 = false;
    }
  }
  if (rng_.permille(200)) {
    at = world_.node(rng_.pick(world_.running()));
  }
  at->change(change);
}

PeerId Admin::outsider(const ConfState& conf) {
  std::vector<PeerId> found;
  for (const PeerId id : world_.running()) {
    if (!member(conf, id)) {
      found.push_back(id);
    }
  }
  if (!found.empty() && (rng_.permille(700) || found.size() > 2)) {
    return rng_.pick(found);
  }
  return world_.last_id() + 2 < kMaxPeers ? world_.add_peer() : kNone;
}

ConfChangeSingle Admin::draw_single(const ConfState& conf) {
  for (const auto* ids : {&conf.voters, &conf.learners}) {
    for (const PeerId id : *ids) {
      if (world_.gone(id) && rng_.permille(700)) {
        return {ConfChangeType::kRemove, id};
      }
    }
  }
  const bool many = conf.voters.size() >= kMaxVoters;
  const bool few = conf.voters.size() <= 2;
  const std::uint64_t draw = rng_.below(100);
  if (!conf.learners.empty() && (draw < 25 || (many && conf.learners.size() >= kMaxLearners))) {
    const PeerId learner = rng_.pick(conf.learners);
    const bool promote = !world_.gone(learner) && !many && draw % 5 != 0;
    return {promote ? ConfChangeType::kAddVoter : ConfChangeType::kRemove, learner};
  }
  if (many || (!few && draw < 60)) {
    const PeerId voter = rng_.pick(conf.voters);
    return {draw % 3 == 0 ? ConfChangeType::kAddLearner : ConfChangeType::kRemove, voter};
  }
  const bool learner = conf.learners.size() < kMaxLearners && draw % 2 == 0;
  return {learner ? ConfChangeType::kAddLearner : ConfChangeType::kAddVoter, outsider(conf)};
}

ConfChange Admin::draw_change() {
  ConfState conf = world_.conf();
  ConfChange change;
  const std::uint64_t draw = rng_.below(100);
  change.v1 = draw < 30;
  const std::size_t count = draw < 55 ? 1 : rng_.between(2, 3);
  for (std::size_t i = 0; i < count; i++) {
    const ConfChangeSingle single = draw_single(conf);
    if (single.peer == kNone || std::any_of(change.changes.begin(), change.changes.end(),
                                            [&single](const ConfChangeSingle& other) {
                                              return other.peer == single.peer;
                                            })) {
      continue;
    }
    change.changes.push_back(single);
    // So that the next one knows of this one.
    std::erase(conf.voters, single.peer);
    std::erase(conf.learners, single.peer);
    if (single.type == ConfChangeType::kAddVoter) {
      conf.voters.push_back(single.peer);
    } else if (single.type == ConfChangeType::kAddLearner) {
      conf.learners.push_back(single.peer);
    }
  }
  if (change.changes.empty()) {
    change.changes.push_back({ConfChangeType::kUpdate, world_.conf().voters.front()});
  }
  if (!change.v1) {
    const std::uint64_t way = rng_.below(10);
    change.transition = way < 4   ? ConfTransition::kAuto
                        : way < 7 ? ConfTransition::kJointImplicit
                                  : ConfTransition::kJointExplicit;
  }
  return change;
}

// An operator's rule: a removed peer is shut down once most of those that stay know that it is no
// member any more; before that they may need its vote.
void Admin::retire_removed() {
  const ConfState& conf = world_.conf();
  const auto most_know = [this](const std::vector<PeerId>& voters) {
    const auto know = std::count_if(voters.begin(), voters.end(),
                                    [this](PeerId id) { return world_.knows_membership(id); });
    return voters.empty() || static_cast<std::size_t>(know) > voters.size() / 2;
  };
  if (!most_know(conf.voters) || !most_know(conf.voters_outgoing)) {
    return;
  }
  for (PeerId id = 1; id <= world_.last_id(); id++) {
    if (!world_.gone(id) && !member(conf, id) && world_.was_member(id) &&
        (world_.healing() || rng_.permille(300))) {
      world_.remove(*world_.node(id));
    }
  }
}

}  // namespace andyx::raft::sim
