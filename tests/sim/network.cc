#include "tests/sim/network.h"

#include <algorithm>

namespace andyx::raft::sim {

namespace {

constexpr std::uint64_t kNetworkStream = 2;

}  // namespace

Network::Network(const Options& options)
    : options_(options), rng_(options.seed, kNetworkStream), links_(kMaxPeers * kMaxPeers) {}

Time Network::arrival(Link& link, Time now) {
  // Most messages take the least time, few the most.
  const Time spread = options_.delay_max - options_.delay_min;
  Time at = now + options_.delay_min + rng_.below(1 + spread / (1 + rng_.below(16)));
  if (rng_.permille(options_.straggle)) {
    return at + rng_.between(100 * kMillisecond, 4 * kSecond);
  }
  if (!rng_.permille(options_.reorder)) {
    at = std::max(at, link.last + 1);
    link.last = at;
  }
  return at;
}

Network::Arrivals Network::send(PeerId from, PeerId to, Time now) {
  Arrivals arrivals;
  Link& over = link(from, to);
  if (over.cut || rng_.permille(options_.loss + storm_)) {
    return arrivals;
  }
  arrivals.at[arrivals.count++] = arrival(over, now);
  if (rng_.permille(options_.duplicate)) {
    arrivals.at[arrivals.count++] = arrival(over, now);
  }
  return arrivals;
}

void Network::heal() {
  storm_ = 0;
  for (Link& each : links_) {
    each.cut = false;
  }
}

void Network::calm() {
  heal();
  options_.loss = options_.duplicate = options_.reorder = options_.straggle = 0;
  options_.delay_max = options_.delay_min + kMillisecond;
}

}  // namespace andyx::raft::sim
