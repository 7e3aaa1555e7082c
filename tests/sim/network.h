// Who can reach whom, and when a message arrives: loss, duplicates, reordering, stragglers, cuts in
// one direction. Decides only; the world delivers.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "raft/core/types.h"
#include "tests/sim/options.h"
#include "tests/sim/rng.h"

namespace andyx::raft::sim {

inline constexpr PeerId kMaxPeers = 128;  // ids of a run: 1..kMaxPeers - 1

class Network {
 public:
  explicit Network(const Options& options);

  // The times at which a message sent at `now` arrives: none (lost or cut), one, or two.
  struct Arrivals {
    std::array<Time, 2> at{};
    std::size_t count = 0;
  };
  Arrivals send(PeerId from, PeerId to, Time now);

  void cut(PeerId from, PeerId to) { link(from, to).cut = true; }
  bool is_cut(PeerId from, PeerId to) { return link(from, to).cut; }
  void heal();  // cuts and storms end
  // All links lose this much more, in thousandths.
  void storm(std::uint32_t loss) { storm_ = loss; }
  // From now on a good network: short delays, in order, no loss.
  void calm();

 private:
  struct Link {
    Time last = 0;  // of an arrival; the next is later unless reordered
    bool cut = false;
  };
  Link& link(PeerId from, PeerId to) { return links_[from * kMaxPeers + to]; }
  Time arrival(Link& link, Time now);

  Options options_;
  Rng rng_;
  std::uint32_t storm_ = 0;
  std::vector<Link> links_;
};

}  // namespace andyx::raft::sim
