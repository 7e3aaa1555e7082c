#include "server/cluster/balance.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

bool holds(const std::vector<NodeId>& nodes, NodeId node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

// All its copies are where they should be, and in sync.
bool is_whole(const PartitionRecord& p) {
  return p.main != 0 && p.joining == 0 && p.moving_from == 0 &&
         p.in_sync.size() + p.observers.size() == p.replicas.size();
}

struct Main {
  TopicId topic = 0;
  const PartitionRecord* partition = nullptr;
  double share = 0;
};

// Those on nodes that lead more than the average; the busiest first, the others as they come.
std::vector<Main> movable_mains(const Image& image, const Scores& mains) {
  std::vector<Main> busiest, others;
  for (const Topic& topic : image.topics_by_id) {
    for (const PartitionRecord& p : topic.partitions()) {
      const bool movable = p.in_sync.size() > 1 && p.moving_from == 0;
      if (!movable || !mains.carries(p.main) || mains.of(p.main) <= 1) continue;
      auto& list = mains.is_listed(p.main, p.partition_id) ? busiest : others;
      list.push_back({topic.id, &p, mains.share(p.main, p.partition_id)});
    }
  }
  std::ranges::sort(busiest, {}, [](const Main& main) {
    return std::pair(-main.share, main.partition->partition_id);
  });
  busiest.insert(busiest.end(), others.begin(), others.end());
  return busiest;
}

// The copy whose move to the node with the lowest score that has none makes the most of it.
class BestCopy {
 public:
  // `leading`: mains only, or none. Moved where it is `worth` it by the one measure and `fits` the
  // other.
  BestCopy(const Image& image, const Scores& by, bool leading) : image_(image), by_(by) {
    leading_ = leading;
  }

  template <typename Fits>
  std::optional<Wish> find(Fits fits) const {
    const std::vector<NodeId> lightest_first = by_.lightest_first();
    std::optional<Wish> best;
    double best_gain = 0;
    for (const Topic& topic : image_.topics_by_id) {
      for (const PartitionRecord& p : topic.partitions()) {
        if (!is_whole(p)) continue;
        const auto to = std::ranges::find_if(lightest_first,
                                             [&](NodeId node) { return !holds(p.replicas, node); });
        if (to == lightest_first.end()) continue;
        for (const NodeId from : p.replicas) {
          if ((p.main == from) != leading_ || !by_.carries(from)) continue;
          const double share = by_.share(from, p.partition_id);
          const double gain = by_.gain(from, *to, share);
          if (gain <= best_gain || !by_.worth(from, *to, share) || !fits(p, from, *to)) continue;
          best_gain = gain;
          best = ChangeReplicasCommand{.topic_id = topic.id,
                                       .partition = p.index,
                                       .version = p.version,
                                       .add = *to,
                                       .moving_from = from};
        }
      }
    }
    return best;
  }

 private:
  const Image& image_;
  const Scores& by_;
  bool leading_ = false;
};

std::optional<Wish> copy_to_move(const Image& image, const Balance& balance) {
  const Scores &mains = balance.mains, &copies = balance.copies;
  if (copies.uneven()) {
    // A copy that does not lead moves without clients noticing.
    const auto any = [](const auto&...) { return true; };
    if (auto wish = BestCopy(image, copies, false).find(any)) return wish;
    const auto mains_fit = [&](const PartitionRecord& p, NodeId from, NodeId to) {
      return mains.no_worse(from, to, mains.share(from, p.partition_id));
    };
    if (auto wish = BestCopy(image, copies, true).find(mains_fit)) return wish;
  }
  if (!mains.measured() || !mains.uneven()) return std::nullopt;
  const auto copies_fit = [&](const PartitionRecord& p, NodeId from, NodeId to) {
    return copies.stays_even(from, to, copies.share(from, p.partition_id));
  };
  return BestCopy(image, mains, true).find(copies_fit);
}

}  // namespace

std::vector<Scores::Off> Balance::off() const {
  std::vector<Scores::Off> all = mains.off();
  const std::vector<Scores::Off> others = copies.off();
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

std::vector<Wish> spread_mains(const Image& image, Balance& balance) {
  Scores& mains = balance.mains;
  std::vector<Wish> moves;
  if (!mains.uneven()) return moves;
  for (const Main& main : movable_mains(image, mains)) {
    const PartitionRecord& p = *main.partition;
    NodeId to = 0;
    for (const NodeId node : p.in_sync) {
      if (node == p.main || !mains.carries(node)) continue;
      if (to == 0 || mains.of(node) < mains.of(to)) to = node;
    }
    if (to == 0 || !mains.worth(p.main, to, main.share)) continue;
    mains.move(p.main, to, main.share);
    moves.push_back(ElectMainCommand{
        .topic_id = main.topic, .partition = p.index, .node = to, .main_epoch = p.main_epoch});
    if (moves.size() >= limits::kMaxMainsSpreadPerRound) break;
  }
  return moves;
}

std::vector<Wish> spread_copies(const Image& image, const Balance& balance) {
  if (auto wish = copy_to_move(image, balance)) return {std::move(*wish)};
  return {};
}

}  // namespace andyx::server
