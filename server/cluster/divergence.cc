#include "server/cluster/divergence.h"

#include <algorithm>
#include <cstdio>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

std::string hex(std::uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace

void Divergence::published(Position position, std::uint64_t hash) {
  if (!ours_.empty() && ours_.back().first >= position) return;
  ours_.emplace_back(position, hash);
  if (ours_.size() > limits::kImageHashesRemembered) ours_.pop_front();
}

void Divergence::reported(NodeId node, Position position, std::uint64_t hash) {
  const auto known = std::ranges::lower_bound(
      ours_, position, {}, [](const auto& published) { return published.first; });
  if (known == ours_.end() || known->first != position) return;
  // Once astray, astray for good: it may come to the same hash again by chance only.
  Report& report = reports_[node];
  if (!report.differs() || hash != known->second) report = {position, hash, known->second};
}

void Divergence::forget(NodeId node) { reports_.erase(node); }

std::size_t Divergence::agreeing() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(reports_, [](const auto& each) { return !each.second.differs(); }));
}

std::map<NodeId, std::string> Divergence::astray(std::size_t nodes) const {
  std::map<NodeId, std::string> found;
  const std::size_t agree = agreeing();
  if (agree < std::max(nodes, reports_.size()) - agree) return found;
  for (const auto& [node, report] : reports_) {
    if (report.differs()) found.emplace(node, text_of(report, false));
  }
  return found;
}

std::string Divergence::self_astray(std::size_t nodes) const {
  std::map<std::pair<Position, std::uint64_t>, std::size_t> same;
  for (const auto& [node, report] : reports_) {
    if (report.differs()) ++same[{report.position, report.hash}];
  }
  const auto most =
      std::ranges::max_element(same, {}, [](const auto& each) { return each.second; });
  if (most == same.end() || 2 * most->second <= std::max(nodes, reports_.size())) return {};
  const auto [position, hash] = most->first;
  const auto report = std::ranges::find_if(reports_, [&](const auto& each) {
    return each.second.position == position && each.second.hash == hash;
  });
  return text_of(report->second, true);
}

std::string Divergence::text_of(const Report& report, bool of_this_node) {
  const std::string one = hex(of_this_node ? report.ours : report.hash);
  const std::string other = hex(of_this_node ? report.hash : report.ours);
  return "has other metadata than the cluster: at version " + std::to_string(report.position) +
         " its hash is " + one + ", " +
         (of_this_node ? "that of most nodes " : "the controller's ") + other;
}

}  // namespace andyx::server
