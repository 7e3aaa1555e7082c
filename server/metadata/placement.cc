#include "server/metadata/placement.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace andyx::server {
namespace {

class Placer {
 public:
  explicit Placer(const Image& image) {
    for (const NodeRecord& node : image.nodes) {
      if (is_placeable(node)) loads_.push_back(image.loads.of(node.id));
    }
    // The next in line after a main is who takes over from it.
    if (loads_.size() <= 2) return;
    for (const Topic& topic : image.topics_by_id) {
      for (const PartitionRecord& partition : topic.partitions()) {
        if (partition.replicas.size() > 1) {
          ++followers_[{partition.replicas[0], partition.replicas[1]}];
        }
      }
    }
  }

  std::size_t nodes() const { return loads_.size(); }

  void place_one(std::uint32_t copies, std::vector<NodeId>& out) {
    std::vector<std::size_t> chosen{
        least([](const NodeLoad& load,
                 std::size_t at) { return std::tuple(load.mains, load.copies, at); },
              {})};
    const std::size_t main = chosen.front();
    while (chosen.size() < copies) {
      chosen.push_back(least(
          [&](const NodeLoad& load, std::size_t at) {
            return std::tuple(load.copies, (at + loads_.size() - main) % loads_.size());
          },
          chosen));
    }
    const NodeId leader = loads_[main].node;
    // Those that follow it least come first, else as they were chosen.
    std::vector<std::tuple<std::uint32_t, std::size_t, std::size_t>> ranked;
    for (std::size_t place = 1; place < chosen.size(); ++place) {
      const auto found = followers_.find({leader, loads_[chosen[place]].node});
      const auto follows = found == followers_.end() ? 0 : found->second;
      ranked.emplace_back(follows, place, chosen[place]);
    }
    std::ranges::sort(ranked);
    for (std::size_t place = 1; place < chosen.size(); ++place)
      chosen[place] = std::get<2>(ranked[place - 1]);
    ++loads_[main].mains;
    for (const std::size_t at : chosen) {
      ++loads_[at].copies;
      out.push_back(loads_[at].node);
    }
    if (copies > 1 && loads_.size() > 2) ++followers_[{leader, loads_[chosen[1]].node}];
  }

 private:
  // The place of the node with the lowest rank that is not among `taken`; there is one.
  template <typename Rank>
  std::size_t least(Rank rank, const std::vector<std::size_t>& taken) const {
    std::size_t best = loads_.size();
    for (std::size_t at = 0; at < loads_.size(); ++at) {
      if (std::ranges::find(taken, at) != taken.end()) continue;
      if (best == loads_.size() || rank(loads_[at], at) < rank(loads_[best], best)) best = at;
    }
    return best;
  }

  std::vector<NodeLoad> loads_;                                   // of the placeable nodes
  std::map<std::pair<NodeId, NodeId>, std::uint32_t> followers_;  // main, next in line
};

}  // namespace

bool is_placeable(const NodeRecord& node) {
  return (node.roles & kBrokerRole) != 0 && node.alive && !node.draining;
}

std::uint32_t count_brokers(const Image& image) {
  std::uint32_t brokers = 0;
  for (const NodeRecord& node : image.nodes) {
    brokers += (node.roles & kBrokerRole) != 0 && !node.draining;
  }
  return brokers;
}

Placement place(const Image& image, std::uint32_t partitions, std::uint32_t factor) {
  Placer placer(image);
  Placement placement;
  placement.copies = std::min(factor, static_cast<std::uint32_t>(placer.nodes()));
  if (placement.copies == 0) return placement;
  placement.nodes.reserve(std::size_t{partitions} * placement.copies);
  for (std::uint32_t i = 0; i < partitions; ++i)
    placer.place_one(placement.copies, placement.nodes);
  return placement;
}

}  // namespace andyx::server
