#include "server/replication/record_rules.h"

#include <doctest/doctest.h>

namespace andyx::server {
namespace {

// Nodes 1..copies, incarnation 10 × node, all alive and in the set; node 1 is main.
ReplicationRecord record_of(NodeId copies) {
  ReplicationRecord record{.main_epoch = 4, .version = 7, .main = 1};
  record.min_in_sync = default_min_in_sync(copies);
  for (NodeId node = 1; node <= copies; ++node) {
    record.replicas.push_back({.node = node, .incarnation = 10ull * node, .alive = true});
    record.in_sync.push_back(node);
  }
  return record;
}

SetProposal proposal_of(const ReplicationRecord& record, std::vector<NodeId> members) {
  SetProposal proposal{
      .main = record.main, .main_epoch = record.main_epoch, .version = record.version};
  for (const NodeId node : members)
    proposal.in_sync.push_back({.node = node, .incarnation = 10ull * node});
  return proposal;
}

using Nodes = std::vector<NodeId>;

TEST_CASE("min-in-sync is the majority of the factor, and one of two") {
  CHECK(default_min_in_sync(1) == 1);
  CHECK(default_min_in_sync(2) == 1);
  CHECK(default_min_in_sync(3) == 2);
  CHECK(default_min_in_sync(4) == 3);
  CHECK(default_min_in_sync(5) == 3);
}

TEST_CASE("a proposal holds for its version, epoch and main only, and then once") {
  ReplicationRecord record = record_of(3);
  const SetProposal shrink = proposal_of(record, {1, 2});
  REQUIRE(change_in_sync(record, shrink));
  CHECK(record.in_sync == Nodes{1, 2});
  CHECK(record.version == 8);
  CHECK(record.main_epoch == 4);
  const ReplicationRecord before = record;
  CHECK(change_in_sync(record, shrink).error().code == ErrorCode::kNotMain);  // arrived twice
  SetProposal other = proposal_of(record, {1, 2, 3});
  other.main_epoch = 3;
  CHECK(change_in_sync(record, other).error().code == ErrorCode::kNotMain);
  other = proposal_of(record, {1, 2, 3});
  other.main = 2;
  CHECK(change_in_sync(record, other).error().code == ErrorCode::kNotMain);
  CHECK(record == before);
}

TEST_CASE("nobody dead, restarted, foreign, observing or named twice joins the set") {
  ReplicationRecord record = record_of(4);
  record.in_sync = {1, 2};
  record.replicas[3].observer = true;
  const ReplicationRecord before = record;
  const auto refused = [&](const SetProposal& proposal) {
    const Status status = change_in_sync(record, proposal);
    return !status && status.error().code == ErrorCode::kNotInSync && record == before;
  };
  CHECK(refused(proposal_of(record, {1, 2, 4})));
  CHECK(refused(proposal_of(record, {1, 2, 9})));
  CHECK(refused(proposal_of(record, {1, 2, 2})));
  CHECK(refused(proposal_of(record, {2, 3})));  // without the main
  SetProposal restarted = proposal_of(record, {1, 2, 3});
  restarted.in_sync[2].incarnation = 29;
  CHECK(refused(restarted));
  record.replicas[2].alive = false;
  CHECK_FALSE(change_in_sync(record, proposal_of(record, {1, 2, 3})));
}

TEST_CASE("who leaves the set too small stays eligible until it is whole again") {
  ReplicationRecord record = record_of(3);
  session_lost(record, 2);
  CHECK(record.in_sync == Nodes{1, 3});
  CHECK(record.eligible.empty());  // two are enough: commits go on without it
  session_lost(record, 3);
  CHECK(record.in_sync == Nodes{1});
  CHECK(record.eligible == Nodes{3});
  session_lost(record, 1);
  CHECK(record.main == 0);
  CHECK(record.in_sync.empty());
  CHECK(record.eligible == Nodes{3, 1});

  session_found(record, 2);
  CHECK(record.main == 0);  // it holds too little
  session_found(record, 3);
  CHECK(record.main == 3);
  CHECK(record.main_epoch == 5);
  CHECK(record.in_sync == Nodes{3});
  CHECK(record.eligible == Nodes{1});
  REQUIRE(change_in_sync(record, proposal_of(record, {3, 2})));
  CHECK(record.eligible.empty());
}

TEST_CASE("a main that restarts goes on under a new epoch only") {
  ReplicationRecord record = record_of(3);
  node_registered(record, 1, 11, true);
  CHECK(record.main == 1);
  CHECK(record.main_epoch == 5);
  CHECK(record.version == 8);
  CHECK(record.in_sync == Nodes{1, 2, 3});
  node_registered(record, 1, 11, true);  // said twice
  CHECK(record.main_epoch == 5);
  node_registered(record, 2, 21, true);  // a replica keeps its place
  CHECK(record.in_sync == Nodes{1, 2, 3});
  CHECK(record.version == 8);
}

TEST_CASE("a node with another disk leaves the set, and is not eligible") {
  ReplicationRecord record = record_of(3);
  node_registered(record, 2, 21, false);
  CHECK(record.in_sync == Nodes{1, 3});
  node_registered(record, 1, 11, false);
  CHECK(record.main == 3);
  CHECK(record.in_sync == Nodes{3});
  CHECK(record.eligible.empty());
  node_registered(record, 3, 31, false);
  CHECK(record.main == 0);
  CHECK(record.in_sync.empty());
  CHECK(record.eligible.empty());
}

TEST_CASE("a clean election takes members of the set and eligible ones only") {
  ReplicationRecord record = record_of(3);
  record.in_sync = {1, 2};
  CHECK(elect_main(record, 3).error().code == ErrorCode::kNotInSync);
  CHECK(record.main_epoch == 4);
  REQUIRE(elect_main(record, 2));
  CHECK(record.main == 2);
  CHECK(record.main_epoch == 5);
  CHECK(record.in_sync == Nodes{1, 2});
}

TEST_CASE("a forced election takes anybody alive, alone, and an observer stays one no longer") {
  ReplicationRecord record = record_of(3);
  record.replicas[2].observer = true;
  record.in_sync = {1, 2};
  REQUIRE(force_main(record, 3));
  CHECK(record.main == 3);
  CHECK(record.in_sync == Nodes{3});
  CHECK_FALSE(record.find(3)->observer);
  record.replicas[1].alive = false;
  CHECK(force_main(record, 2).error().code == ErrorCode::kBadArgument);
}

}  // namespace
}  // namespace andyx::server
