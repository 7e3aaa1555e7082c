#include "raft/core/membership.h"

#include <algorithm>

#include "raft/core/describe.h"

namespace andyx::raft {

namespace {

// Nothing, or which invariant of Configuration does not hold.
std::expected<void, std::string> check(const Membership& membership) {
  const Configuration& config = membership.config;
  const auto without_progress = [&](const PeerSet& peers) {
    return std::ranges::find_if(peers, [&](PeerId p) { return !membership.progress.contains(p); });
  };
  for (const PeerSet& peers : {config.voters.all(), config.learners, config.learners_next}) {
    if (const auto at = without_progress(peers); at != peers.end()) {
      return std::unexpected("no progress for " + std::to_string(*at));
    }
  }
  for (const PeerId peer : config.learners_next) {
    if (!config.voters.outgoing.contains(peer) || membership.progress.at(peer).learner) {
      return std::unexpected(std::to_string(peer) + " is in LearnersNext, but not Voters[1]");
    }
  }
  for (const PeerId peer : config.learners) {
    if (config.voters.contains(peer) || !membership.progress.at(peer).learner) {
      return std::unexpected(std::to_string(peer) + " is in Learners and Voters");
    }
  }
  if (!config.voters.joint() && (!config.learners_next.empty() || config.auto_leave)) {
    return std::unexpected("LearnersNext and AutoLeave must be unset when not joint");
  }
  return {};
}

Changer::Outcome checked(Membership next) {
  if (const auto status = check(next); !status) {
    return std::unexpected(status.error());
  }
  return next;
}

std::size_t difference(const PeerSet& left, const PeerSet& right) {
  std::vector<PeerId> out;
  std::ranges::set_symmetric_difference(left, right, std::back_inserter(out));
  return out.size();
}

}  // namespace

ConfState Configuration::state() const {
  return {.voters = voters.incoming.list(),
          .voters_outgoing = voters.outgoing.list(),
          .learners = learners.list(),
          .learners_next = learners_next.list(),
          .auto_leave = auto_leave};
}

std::string Configuration::text() const {
  std::string out = "voters=" + describe(voters.incoming);
  if (voters.joint()) {
    out += "&&" + describe(voters.outgoing);
  }
  if (!learners.empty()) {
    out += " learners=" + describe(learners);
  }
  if (!learners_next.empty()) {
    out += " learners_next=" + describe(learners_next);
  }
  return out + (auto_leave ? " autoleave" : "");
}

Changer::Outcome Changer::simple(const std::vector<ConfChangeSingle>& changes) const {
  if (present_.config.voters.joint()) {
    return std::unexpected("can't apply simple config change in joint config");
  }
  Membership next = present_;
  if (const auto applied = apply_singles(next, changes); !applied) {
    return std::unexpected(applied.error());
  }
  if (difference(present_.config.voters.incoming, next.config.voters.incoming) > 1) {
    return std::unexpected("more than one voter changed without entering joint config");
  }
  return checked(std::move(next));
}

Changer::Outcome Changer::enter_joint(bool auto_leave,
                                      const std::vector<ConfChangeSingle>& changes) const {
  if (present_.config.voters.joint()) {
    return std::unexpected("config is already joint");
  }
  if (present_.config.voters.incoming.empty()) {
    return std::unexpected("can't make a zero-voter config joint");
  }
  Membership next = present_;
  next.config.voters.outgoing = next.config.voters.incoming;
  if (const auto applied = apply_singles(next, changes); !applied) {
    return std::unexpected(applied.error());
  }
  next.config.auto_leave = auto_leave;
  return checked(std::move(next));
}

Changer::Outcome Changer::leave_joint() const {
  if (!present_.config.voters.joint()) {
    return std::unexpected("can't leave a non-joint config");
  }
  Membership next = present_;
  Configuration& config = next.config;
  for (const PeerId peer : config.learners_next) {
    config.learners.insert(peer);
    next.progress.at(peer).learner = true;
  }
  config.learners_next.clear();
  for (const PeerId peer : config.voters.outgoing) {
    if (!config.voters.incoming.contains(peer) && !config.learners.contains(peer)) {
      next.progress.erase(peer);
    }
  }
  config.voters.outgoing.clear();
  config.auto_leave = false;
  return checked(std::move(next));
}

Changer::Outcome Changer::apply(const ConfChange& change) const {
  if (change.leaves_joint()) {
    return leave_joint();
  }
  return change.enters_joint() ? enter_joint(change.auto_leave(), change.changes)
                               : simple(change.changes);
}

std::expected<void, std::string> Changer::apply_singles(
    Membership& next, const std::vector<ConfChangeSingle>& changes) const {
  for (const ConfChangeSingle& change : changes) {
    if (change.peer == kNone) {
      continue;  // the application has voided it
    }
    switch (change.type) {
      case ConfChangeType::kAddVoter:
        make_voter(next, change.peer);
        break;
      case ConfChangeType::kAddLearner:
        make_learner(next, change.peer);
        break;
      case ConfChangeType::kRemove:
        remove(next, change.peer);
        break;
      case ConfChangeType::kUpdate:
        break;
    }
  }
  if (next.config.voters.incoming.empty()) {
    return std::unexpected("removed all voters");
  }
  return {};
}

void Changer::make_voter(Membership& next, PeerId peer) const {
  Progress& progress = add_progress(next, peer);
  progress.learner = false;
  next.config.learners.erase(peer);
  next.config.learners_next.erase(peer);
  next.config.voters.incoming.insert(peer);
}

// A voter of the outgoing majority cannot be a learner at the same time: it becomes one when the
// joint configuration is left.
void Changer::make_learner(Membership& next, PeerId peer) const {
  const bool known = next.progress.contains(peer);
  Progress& progress = add_progress(next, peer);
  if (known && progress.learner) {
    return;
  }
  next.config.voters.incoming.erase(peer);
  next.config.learners_next.erase(peer);
  if (next.config.voters.outgoing.contains(peer)) {
    next.config.learners_next.insert(peer);
  } else {
    progress.learner = true;
    next.config.learners.insert(peer);
  }
}

void Changer::remove(Membership& next, PeerId peer) {
  next.config.voters.incoming.erase(peer);
  next.config.learners.erase(peer);
  next.config.learners_next.erase(peer);
  if (!next.config.voters.outgoing.contains(peer)) {
    next.progress.erase(peer);
  }
}

Progress& Changer::add_progress(Membership& next, PeerId peer) const {
  const auto [at, added] = next.progress.try_emplace(peer, std::max<Index>(last_index_, 1),
                                                     max_inflight_, max_inflight_bytes_);
  if (added) {
    // Else a quorum check could come before it had a chance to speak, and depose the leader.
    at->second.recent_active = true;
  }
  return at->second;
}

// The outgoing voters are made first, one by one; then the joint configuration is entered with what
// leads from them to the incoming ones.
Changer::Outcome restore_membership(const ConfState& state, Index last_index,
                                    std::uint32_t max_inflight, std::uint64_t max_inflight_bytes) {
  std::vector<ConfChangeSingle> incoming;
  const auto add = [&](const std::vector<PeerId>& peers, ConfChangeType type) {
    for (const PeerId peer : peers) {
      incoming.push_back({.type = type, .peer = peer});
    }
  };
  add(state.voters_outgoing, ConfChangeType::kRemove);
  add(state.voters, ConfChangeType::kAddVoter);
  add(state.learners, ConfChangeType::kAddLearner);
  add(state.learners_next, ConfChangeType::kAddLearner);

  Membership membership;
  const auto one_by_one = [&](const ConfChangeSingle& change) -> std::expected<void, std::string> {
    auto next = Changer(membership, last_index, max_inflight, max_inflight_bytes).simple({change});
    if (!next) {
      return std::unexpected(next.error());
    }
    membership = *std::move(next);
    return {};
  };
  if (state.voters_outgoing.empty()) {
    for (const ConfChangeSingle& change : incoming) {
      if (const auto done = one_by_one(change); !done) {
        return std::unexpected(done.error());
      }
    }
    return membership;
  }
  for (const PeerId peer : state.voters_outgoing) {
    if (const auto done = one_by_one({.type = ConfChangeType::kAddVoter, .peer = peer}); !done) {
      return std::unexpected(done.error());
    }
  }
  return Changer(membership, last_index, max_inflight, max_inflight_bytes)
      .enter_joint(state.auto_leave, incoming);
}

}  // namespace andyx::raft
