// The active configuration with the progress of its members, and how changes of it are made.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "raft/core/progress.h"
#include "raft/core/quorum.h"

namespace andyx::raft {

// Invariants: learners are no voters; learners_next are outgoing voters; auto_leave and
// learners_next only while joint.
struct Configuration {
  JointVoters voters;
  PeerSet learners;
  PeerSet learners_next;  // become learners when the joint configuration is left
  bool auto_leave = false;

  ConfState state() const;
  std::string text() const;  // "voters=(1 2)&&(1) learners=(3) autoleave"
};

struct Membership {
  Configuration config;
  ProgressMap progress;
};

// Computes the next membership; the present one stays as it is. Errors are texts for people, and
// etcd's, since transcripts hold them.
class Changer {
 public:
  using Outcome = std::expected<Membership, std::string>;

  Changer(const Membership& present, Index last_index, std::uint32_t max_inflight,
          std::uint64_t max_inflight_bytes)
      : present_(present),
        last_index_(last_index),
        max_inflight_(max_inflight),
        max_inflight_bytes_(max_inflight_bytes) {}

  // At most one voter changes.
  Outcome simple(const std::vector<ConfChangeSingle>& changes) const;
  // C_old,new of the thesis, section 4.3.
  Outcome enter_joint(bool auto_leave, const std::vector<ConfChangeSingle>& changes) const;
  Outcome leave_joint() const;
  // Whatever the change asks for.
  Outcome apply(const ConfChange& change) const;

 private:
  std::expected<void, std::string> apply_singles(
      Membership& next, const std::vector<ConfChangeSingle>& changes) const;
  void make_voter(Membership& next, PeerId peer) const;
  void make_learner(Membership& next, PeerId peer) const;
  static void remove(Membership& next, PeerId peer);
  Progress& add_progress(Membership& next, PeerId peer) const;

  const Membership& present_;
  Index last_index_;
  std::uint32_t max_inflight_;
  std::uint64_t max_inflight_bytes_;
};

// The membership that a snapshot describes, with fresh progress.
Changer::Outcome restore_membership(const ConfState& state, Index last_index,
                                    std::uint32_t max_inflight, std::uint64_t max_inflight_bytes);

}  // namespace andyx::raft
