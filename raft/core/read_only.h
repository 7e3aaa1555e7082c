// Read-index requests that wait for a quorum to confirm the leader. A heartbeat carries how many
// requests there have been (its round): who answers it confirms all of them.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "raft/core/quorum.h"
#include "raft/core/types.h"

namespace andyx::raft {

class ReadOnlyRounds {
 public:
  struct Request {
    PeerId from = kNone;  // kNone or the leader itself: a local one
    std::uint64_t context = 0;
    Index index = 0;  // commit index when it came
  };

  void add(Request request) { waiting_.push_back(request); }
  // The round that confirms everything that waits; 0: nothing does.
  std::uint64_t round() const { return waiting_.empty() ? 0 : confirmed_ + waiting_.size(); }
  void acknowledge(PeerId from, std::uint64_t round) {
    std::uint64_t& acked = acked_[from];
    acked = std::max(acked, round);
  }
  // Those that the voters have confirmed by now, in order.
  std::vector<Request> take_confirmed(const JointVoters& voters) {
    const auto acked = [this](PeerId peer) -> std::optional<Index> {
      const auto at = acked_.find(peer);
      return at == acked_.end() ? std::nullopt : std::optional(at->second);
    };
    const std::uint64_t through = committed_index(voters, acked);
    std::vector<Request> confirmed;
    while (confirmed_ < through && !waiting_.empty()) {
      confirmed.push_back(waiting_.front());
      waiting_.pop_front();
      confirmed_++;
    }
    return confirmed;
  }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  std::map<PeerId, std::uint64_t> acked_;
  std::deque<Request> waiting_;
  std::uint64_t confirmed_ = 0;  // requests taken out at the front
};

}  // namespace andyx::raft
