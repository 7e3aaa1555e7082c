// Evens out what the nodes carry: mains among the nodes that hold copies in sync, copies among all
// brokers. Small rounds, so that clients hardly notice. Pure.
#pragma once

#include <vector>

#include "server/cluster/cluster_view.h"
#include "server/metadata/proposal.h"

namespace andyx::server {

// Mains from nodes that lead more than their share to those that lead fewer, where either is
// clearly (by more than one and more than a fifth) off it; at most limits::kMaxMainsSpreadPerRound.
std::vector<Wish> spread_mains(const Image& image, const ClusterView& view);

// One copy from the fullest node to one that holds clearly fewer than the average; or none.
std::vector<Wish> spread_copies(const Image& image, const ClusterView& view);

}  // namespace andyx::server
