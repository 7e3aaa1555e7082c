// Which step brings a partition's copies nearer to what is wanted: the replication factor, no
// copies on nodes that drain, moves that were begun. Derived from the image alone, so a new
// controller goes on where the last one stopped. A move is add -> catch up -> join (by the main's
// proposal) -> elect -> remove. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/cluster/cluster_view.h"
#include "server/metadata/proposal.h"

namespace andyx::server {

// A new copy whose node is away for so long is given up.
inline constexpr std::int64_t kGiveUpJoiningMs = 60'000;

struct Convergence {
  std::vector<Wish> steps;   // at most `max_steps`
  std::uint32_t moving = 0;  // copies that are catching up or replacing another one, new ones too
};
// New copies begin only while fewer than limits::kMaxMoves are under way.
Convergence converge(const Image& image, const ClusterView& view, std::int64_t now_ms,
                     std::size_t max_steps);

}  // namespace andyx::server
