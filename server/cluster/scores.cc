#include "server/cluster/scores.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/metadata/placement.h"

namespace andyx::server {
namespace {

bool is_off(double score) { return std::abs(score - 1) > kEvenBand; }

// The larger of two scores has to shrink by this, that a move of a share is worth it.
double clear_step(double share) { return std::min(kEvenBand / 2, share / 2); }

}  // namespace

Scores::Scores(const Image& image, const ClusterView& view, Kind kind) : kind_(kind) {
  for (const NodeRecord& node : image.nodes) {
    if (!is_placeable(node) || view.ailing.contains(node.id)) continue;
    const NodeLoad load = image.loads.of(node.id);
    carried_[node.id].number = kind == Kind::kMains ? load.mains : load.copies;
  }
  if (carried_.empty()) return;
  double sum = 0;
  for (const auto& [node, carried] : carried_) sum += carried.number;
  number_average_ = sum / static_cast<double>(carried_.size());
  const auto has_told = [&](const auto& each) { return view.loads.contains(each.first); };
  if (std::ranges::all_of(carried_, has_told)) measure(view);
  for (auto& [node, carried] : carried_) carried.score = score_of(carried.number, carried.measured);
}

void Scores::measure(const ClusterView& view) {
  double sum = 0;
  for (auto& [node, carried] : carried_) {
    const MeasuredLoad& load = view.loads.at(node);
    const bool mains = kind_ == Kind::kMains;
    carried.measured =
        static_cast<double>(mains ? load.in_rate + load.out_rate : load.stored_bytes);
    sum += carried.measured;
    double listed_sum = 0;
    for (const PartitionShare& share : mains ? load.busiest : load.largest) {
      carried.listed[share.partition] = static_cast<double>(share.amount);
      listed_sum += static_cast<double>(share.amount);
    }
    const double others = carried.number - static_cast<double>(carried.listed.size());
    carried.rest = std::max(0.0, carried.measured - listed_sum) / std::max(1.0, others);
  }
  const double average = sum / static_cast<double>(carried_.size());
  const double significant = kind_ == Kind::kMains ? kSignificantRate : kSignificantBytes;
  measured_average_ = average >= significant ? average : 0;
}

double Scores::score_of(double number, double measured) const {
  if (number_average_ == 0) return 1;
  const double by_number = number / number_average_;
  if (!this->measured()) return by_number;
  return (by_number + measured / measured_average_) / 2;
}

bool Scores::uneven() const {
  return std::ranges::any_of(carried_, [](const auto& each) { return is_off(each.second.score); });
}

std::vector<NodeId> Scores::lightest_first() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, carried] : carried_) nodes.push_back(node);
  std::ranges::sort(nodes, {}, [this](NodeId node) { return std::pair(of(node), node); });
  return nodes;
}

bool Scores::is_listed(NodeId from, PartitionId partition) const {
  return measured() && carried_.at(from).listed.contains(partition);
}

double Scores::share(NodeId from, PartitionId partition) const {
  if (number_average_ == 0) return 0;
  const Carried& carried = carried_.at(from);
  const auto listed = carried.listed.find(partition);
  return score_of(1, listed == carried.listed.end() ? carried.rest : listed->second);
}

bool Scores::worth(NodeId from, NodeId to, double share) const {
  const double more = of(from), less = of(to);
  return (is_off(more) || is_off(less)) && less + share + clear_step(share) < more;
}

bool Scores::stays_even(NodeId from, NodeId to, double share) const {
  return !is_off(of(from) - share) && !is_off(of(to) + share);
}

bool Scores::no_worse(NodeId from, NodeId to, double share) const {
  return of(to) + share <= std::max(of(from), 1 + kEvenBand);
}

double Scores::gain(NodeId from, NodeId to, double share) const {
  return share * (of(from) - of(to) - share);
}

void Scores::move(NodeId from, NodeId to, double share) {
  carried_.at(from).score -= share;
  carried_.at(to).score += share;
}

std::vector<Scores::Off> Scores::off() const {
  std::vector<Off> nodes;
  for (const auto& [node, carried] : carried_) {
    if (!is_off(carried.score)) continue;
    nodes.push_back({.node = node,
                     .kind = kind_,
                     .score = carried.score,
                     .number = carried.number / number_average_,
                     .measured = measured() ? carried.measured / measured_average_ : 1});
  }
  return nodes;
}

}  // namespace andyx::server
