// A small sorted set of peers. Value.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "raft/core/types.h"

namespace andyx::raft {

class PeerSet {
 public:
  PeerSet() = default;
  explicit PeerSet(std::vector<PeerId> peers) : peers_(std::move(peers)) {
    std::ranges::sort(peers_);
    const auto repeated = std::ranges::unique(peers_);
    peers_.erase(repeated.begin(), repeated.end());
  }

  bool contains(PeerId peer) const { return std::ranges::binary_search(peers_, peer); }
  void insert(PeerId peer) {
    const auto at = std::ranges::lower_bound(peers_, peer);
    if (at == peers_.end() || *at != peer) {
      peers_.insert(at, peer);
    }
  }
  void erase(PeerId peer) {
    const auto at = std::ranges::lower_bound(peers_, peer);
    if (at != peers_.end() && *at == peer) {
      peers_.erase(at);
    }
  }
  void clear() { peers_.clear(); }

  bool empty() const { return peers_.empty(); }
  std::size_t size() const { return peers_.size(); }
  auto begin() const { return peers_.begin(); }
  auto end() const { return peers_.end(); }
  const std::vector<PeerId>& list() const { return peers_; }
  bool operator==(const PeerSet&) const = default;

 private:
  std::vector<PeerId> peers_;
};

}  // namespace andyx::raft
