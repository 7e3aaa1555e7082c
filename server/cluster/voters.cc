#include "server/cluster/voters.h"

#include <algorithm>
#include <tuple>

namespace andyx::server {
namespace {

class Policy {
 public:
  Policy(const std::vector<MetadataNode>& nodes, const std::vector<NodeId>& voters,
         const std::vector<NodeId>& learners, NodeId self, std::int64_t now_ms)
      : nodes_(nodes), voters_(voters), learners_(learners), self_(self), now_ms_(now_ms) {}

  std::optional<VoterChange> next() const {
    if (auto change = learner_to_remove()) return change;
    if (voters_.size() < wanted()) {
      // From one voter to three at once: two would be worse than one.
      if (ready().size() + voters_.size() >= wanted() || voters_.size() % 2 == 0) {
        if (auto change = promotion()) return change;
      }
    } else if (voters_.size() > wanted()) {
      if (auto change = demotion()) return change;
    } else if (has_bad_voter()) {
      if (auto change = promotion()) return change;
    }
    return learner_to_add();
  }

 private:
  using Kind = VoterChange::Kind;

  const MetadataNode* find(NodeId id) const {
    const auto found = std::ranges::find(nodes_, id, &MetadataNode::node);
    return found == nodes_.end() ? nullptr : &*found;
  }
  bool is_voter(NodeId node) const { return std::ranges::find(voters_, node) != voters_.end(); }
  bool is_learner(NodeId node) const {
    return std::ranges::find(learners_, node) != learners_.end();
  }
  bool away_for_long(const MetadataNode& node) const {
    return !node.alive && now_ms_ - node.away_since_ms >= kReplaceVoterMs;
  }
  // 2: not of the cluster any more; 1: away for long, or draining; 0: a good one.
  int badness(NodeId id) const {
    const MetadataNode* node = find(id);
    if (node == nullptr) return 2;
    return away_for_long(*node) || node->draining ? 1 : 0;
  }
  bool has_bad_voter() const {
    return std::ranges::any_of(voters_, [this](NodeId voter) { return badness(voter) > 0; });
  }

  std::size_t wanted() const {
    const std::size_t most = std::min(nodes_.size(), kMaxVoters);
    const std::size_t odd = most % 2 == 1 || most == 0 ? most : most - 1;
    return std::max<std::size_t>(odd, voters_.size() >= 3 ? 3 : 1);
  }

  std::vector<NodeId> ready() const {
    std::vector<NodeId> ready;
    for (const NodeId id : learners_) {
      const MetadataNode* node = find(id);
      if (node != nullptr && node->alive && node->caught_up && !node->draining) {
        ready.push_back(id);
      }
    }
    return ready;
  }

  std::optional<VoterChange> learner_to_remove() const {
    for (const NodeId learner : learners_) {
      if (find(learner) == nullptr) return VoterChange{Kind::kRemove, learner};
    }
    return std::nullopt;
  }
  std::optional<VoterChange> learner_to_add() const {
    for (const MetadataNode& node : nodes_) {
      if (node.alive && !is_voter(node.node) && !is_learner(node.node)) {
        return VoterChange{Kind::kAddLearner, node.node};
      }
    }
    return std::nullopt;
  }
  std::optional<VoterChange> promotion() const {
    const auto candidates = ready();
    if (candidates.empty()) return std::nullopt;
    return VoterChange{Kind::kPromote, std::ranges::min(candidates)};
  }

  // One that is gone, then one that is away or drains, then the one with the highest id; the rest
  // has to be a majority of itself that is alive.
  std::optional<VoterChange> demotion() const {
    const auto rank = [this](NodeId id) { return std::tuple(badness(id), id != self_, id); };
    const NodeId worst = *std::ranges::max_element(voters_, {}, rank);
    const auto alive = std::ranges::count_if(voters_, [&](NodeId id) {
      const MetadataNode* node = find(id);
      return id != worst && node != nullptr && node->alive;
    });
    if (static_cast<std::size_t>(alive) <= (voters_.size() - 1) / 2) return std::nullopt;
    return VoterChange{find(worst) == nullptr ? Kind::kRemove : Kind::kDemote, worst};
  }

  const std::vector<MetadataNode>& nodes_;
  const std::vector<NodeId>& voters_;
  const std::vector<NodeId>& learners_;
  const NodeId self_;
  const std::int64_t now_ms_;
};

}  // namespace

std::optional<VoterChange> next_voter_change(const std::vector<MetadataNode>& nodes,
                                             const std::vector<NodeId>& voters,
                                             const std::vector<NodeId>& learners, NodeId self,
                                             std::int64_t now_ms) {
  return Policy(nodes, voters, learners, self, now_ms).next();
}

}  // namespace andyx::server
