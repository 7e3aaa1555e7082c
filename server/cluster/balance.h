// Evens out what the nodes carry, by their scores: mains among the nodes that hold copies in sync,
// copies among all brokers. Small rounds, so that clients hardly notice. Pure.
#pragma once

#include <vector>

#include "server/cluster/cluster_view.h"
#include "server/cluster/scores.h"
#include "server/metadata/proposal.h"

namespace andyx::server {

// The scores of one round, which its moves change.
struct Balance {
  Balance(const Image& image, const ClusterView& view)
      : mains(image, view, Scores::Kind::kMains), copies(image, view, Scores::Kind::kCopies) {}

  // Rounds have to wait until what they moved is measured in its new place.
  bool measured() const { return mains.measured() || copies.measured(); }
  std::vector<Scores::Off> off() const;

  Scores mains, copies;
};

// Mains from nodes that lead more than their share to those that lead less, the busiest first,
// where either is clearly off; at most limits::kMaxMainsSpreadPerRound.
std::vector<Wish> spread_mains(const Image& image, Balance& balance);

// One copy to a node that holds less, where either is clearly off; or none. Where the copies are
// even, and mains that carry much are not, a copy with its main: that of a partition without
// another copy to lead it.
std::vector<Wish> spread_copies(const Image& image, const Balance& balance);

}  // namespace andyx::server
