#include "server/cluster/voters.h"

#include <doctest/doctest.h>

#include <string>

namespace andyx::server::test {
namespace {

using Nodes = std::vector<NodeId>;
using Kind = VoterChange::Kind;

constexpr std::int64_t kNow = 1'000'000;

MetadataNode well(NodeId node) { return {.node = node, .alive = true, .caught_up = true}; }
MetadataNode behind(NodeId node) { return {.node = node, .alive = true}; }
MetadataNode away(NodeId node, std::int64_t for_ms) {
  return {.node = node, .caught_up = true, .away_since_ms = kNow - for_ms};
}
MetadataNode draining(NodeId node) {
  return {.node = node, .alive = true, .draining = true, .caught_up = true};
}

TEST_CASE("the next change of the voters") {
  struct Row {
    std::string what;
    std::vector<MetadataNode> nodes;
    Nodes voters, learners;
    std::optional<VoterChange> expected;
  };
  const std::optional<VoterChange> none;
  const std::vector<Row> rows{
      {"one node is the voter", {well(1)}, {1}, {}, none},
      {"a second one learns", {well(1), well(2)}, {1}, {}, {{Kind::kAddLearner, 2}}},
      {"two nodes have one voter", {well(1), well(2)}, {1}, {2}, none},
      {"a third one learns first", {well(1), well(2), well(3)}, {1}, {2}, {{Kind::kAddLearner, 3}}},
      {"not two voters alone", {well(1), well(2), behind(3)}, {1}, {2, 3}, none},
      {"three nodes: up", {well(1), well(2), well(3)}, {1}, {2, 3}, {{Kind::kPromote, 2}}},
      {"and on to three", {well(1), well(2), well(3)}, {1, 2}, {3}, {{Kind::kPromote, 3}}},
      {"three are right", {well(1), well(2), well(3)}, {1, 2, 3}, {}, none},
      {"a fourth one learns",
       {well(1), well(2), well(3), well(4)},
       {1, 2, 3},
       {},
       {{Kind::kAddLearner, 4}}},
      {"four nodes have three voters", {well(1), well(2), well(3), well(4)}, {1, 2, 3}, {4}, none},
      {"five: up",
       {well(1), well(2), well(3), well(4), well(5)},
       {1, 2, 3},
       {4, 5},
       {{Kind::kPromote, 4}}},
      {"seven nodes have five voters",
       {well(1), well(2), well(3), well(4), well(5), well(6), well(7)},
       {1, 2, 3, 4, 5},
       {6, 7},
       none},
      {"a voter that is away for a moment stays",
       {well(1), well(2), away(3, 59'999), well(4)},
       {1, 2, 3},
       {4},
       none},
      {"after a minute a learner comes in",
       {well(1), well(2), away(3, 60'000), well(4)},
       {1, 2, 3},
       {4},
       {{Kind::kPromote, 4}}},
      {"which has caught up", {well(1), well(2), away(3, 60'000), behind(4)}, {1, 2, 3}, {4}, none},
      {"and then the voter that is away goes",
       {well(1), well(2), away(3, 60'000), well(4)},
       {1, 2, 3, 4},
       {},
       {{Kind::kDemote, 3}}},
      {"no learner, no replacement", {well(1), well(2), away(3, 900'000)}, {1, 2, 3}, {}, none},
      {"never below three", {well(1), well(2)}, {1, 2, 3}, {}, none},
      {"a removed node goes when it is replaced",
       {well(1), well(2), well(4)},
       {1, 2, 3, 4},
       {},
       {{Kind::kRemove, 3}}},
      {"a draining voter is replaced",
       {well(1), draining(2), well(3), well(4)},
       {1, 2, 3},
       {4},
       {{Kind::kPromote, 4}}},
      {"and goes",
       {well(1), draining(2), well(3), well(4)},
       {1, 2, 3, 4},
       {},
       {{Kind::kDemote, 2}}},
      {"of too many the highest goes, not the leader",
       {well(1), well(2), well(3), well(9)},
       {1, 2, 3, 9},
       {},
       {{Kind::kDemote, 3}}},
      {"a learner that was removed goes", {well(1)}, {1}, {2}, {{Kind::kRemove, 2}}},
      {"a node that is away learns later", {well(1), away(2, 5)}, {1}, {}, none},
      {"a demotion leaves a majority alive",
       {well(9), away(2, 5), away(3, 5), well(4)},
       {9, 2, 3, 4},
       {},
       none},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const NodeId self = row.nodes.back().node == 9 || row.nodes.front().node == 9 ? 9 : 1;
    const auto change = next_voter_change(row.nodes, row.voters, row.learners, self, kNow);
    CHECK(change == row.expected);
  }
}

TEST_CASE("step by step the voters become an odd number, and stay it") {
  for (NodeId count = 1; count <= 7; ++count) {
    std::vector<MetadataNode> nodes;
    for (NodeId node = 1; node <= count; ++node) nodes.push_back(well(node));
    Nodes voters{1}, learners;
    int steps = 0;
    while (const auto change = next_voter_change(nodes, voters, learners, 1, kNow)) {
      REQUIRE(++steps < 50);
      std::erase(voters, change->node);
      std::erase(learners, change->node);
      if (change->kind == Kind::kPromote) voters.push_back(change->node);
      if (change->kind == Kind::kAddLearner) learners.push_back(change->node);
    }
    CAPTURE(count);
    CHECK(voters.size() == (count >= 5 ? 5 : count >= 3 ? 3 : 1));
    CHECK(voters.size() + learners.size() == count);
  }
}

}  // namespace
}  // namespace andyx::server::test
