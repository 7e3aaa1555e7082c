// Hosts that elect, decide, lose members and take them back.
#include <doctest/doctest.h>

#include <future>

#include "tests/raft/host/group.h"
#include "tests/raft/host/memory_raft_store.h"

namespace andyx::raft {
namespace {

TEST_CASE("three hosts elect one of them, and all apply what it proposes, in its order") {
  Group group(3);
  group.start_all();
  const PeerId leader = group.wait_for_leader();
  for (int i = 0; i < 100; ++i) {
    const auto result = group.propose(leader, "text " + std::to_string(i));
    REQUIRE(result.outcome == ProposalOutcome::kApplied);
  }
  for (PeerId id = 1; id <= 3; ++id) {
    group.wait_for_text(id, "text 99");
    const auto texts = group[id].machine.texts();
    REQUIRE(texts.size() == 100);
    for (int i = 0; i < 100; ++i) {
      CHECK(texts[static_cast<std::size_t>(i)] == "text " + std::to_string(i));
    }
  }
}

TEST_CASE("a proposal costs each peer one synced write: what is only committed costs none") {
  Group group(3, [](HostOptions& options) { options.election_ticks = 100; });
  group.start_all();
  const PeerId leader = group.wait_for_leader();
  REQUIRE(group.propose(leader, "first").outcome == ProposalOutcome::kApplied);
  for (PeerId id = 1; id <= 3; ++id) group.wait_for_text(id, "first");
  std::map<PeerId, std::uint64_t> before;
  for (PeerId id = 1; id <= 3; ++id) before[id] = group[id].disk->synced_writes();
  for (int i = 0; i < 20; ++i) {
    const auto text = "text " + std::to_string(i);
    REQUIRE(group.propose(leader, text).outcome == ProposalOutcome::kApplied);
    for (PeerId id = 1; id <= 3; ++id) group.wait_for_text(id, text);
  }
  for (PeerId id = 1; id <= 3; ++id) {
    const auto writes = group[id].disk->synced_writes() - before[id];
    CHECK(writes >= 20);
    CHECK(writes < 25);  // a few, where the connection was new
  }
}

TEST_CASE("a group of one decides alone") {
  Group group(1);
  group.start_all();
  REQUIRE(group.wait_for_leader() == 1);
  CHECK(group.propose(1, "alone").outcome == ProposalOutcome::kApplied);
  CHECK(group.read_index(1).has_value());
}

TEST_CASE("a group of one leads before a time-out has passed") {
  Group group(1, [](HostOptions& options) { options.tick_ms = 3'600'000; });
  group.start_all();
  CHECK(group.wait_for_leader() == 1);
  CHECK(group.propose(1, "at once").outcome == ProposalOutcome::kApplied);
}

TEST_CASE("a snapshot that is asked for is saved, and a restart begins with it") {
  Group group(1);
  group.start_all();
  REQUIRE(group.wait_for_leader() == 1);
  for (int i = 0; i < 10; ++i) group.propose(1, "text " + std::to_string(i));
  std::promise<Status> saved;
  group[1]->save_snapshot([&](Status status) { saved.set_value(std::move(status)); });
  REQUIRE(saved.get_future().get().has_value());
  group.stop(1);
  group[1].machine.clear();
  group.start(1);
  group.wait_for_text(1, "text 9");
  CHECK(group[1].machine.restored() == 2);  // the first one it began with
  CHECK(group[1].machine.texts().size() == 10);
}

TEST_CASE("a host whose entry cannot be applied stops, and goes on with it when it can") {
  Group group(1);
  group.start_all();
  REQUIRE(group.wait_for_leader() == 1);
  REQUIRE(group.propose(1, "before").outcome == ProposalOutcome::kApplied);
  group[1].machine.refuse("of the future");
  CHECK(group.propose(1, "of the future").outcome == ProposalOutcome::kIndeterminate);
  wait_until("the host has stopped", [&] { return group[1]->failure().has_value(); });
  CHECK(group[1]->failure()->code == ErrorCode::kUnsupportedVersion);
  std::promise<Status> refused;
  group[1]->save_snapshot([&](Status status) { refused.set_value(std::move(status)); });
  CHECK_FALSE(refused.get_future().get());
  group.stop(1);
  group[1].machine.refuse({});
  group[1].machine.clear();
  group.start(1);
  group.wait_for_text(1, "of the future");
}

TEST_CASE("when the leader is gone the others elect, and it catches up when it is back") {
  Group group(3);
  group.start_all();
  const PeerId first = group.wait_for_leader();
  group.propose_until_applied("before");
  group.stop(first);
  const PeerId second = group.wait_for_leader();
  CHECK(second != first);
  group.propose_until_applied("between");
  group.start(first);
  group.wait_for_text(first, "between");
  group.wait_for_equal({1, 2, 3});
  CHECK(group[first].machine.texts().front() == "before");
}

TEST_CASE("a follower refuses proposals and names the leader") {
  Group group(3);
  group.start_all();
  const PeerId leader = group.wait_for_leader();
  const PeerId follower = leader == 1 ? 2 : 1;
  const auto refused = group.propose(follower, "not here");
  CHECK(refused.outcome == ProposalOutcome::kNotProposed);
  CHECK(refused.leader == leader);
}

TEST_CASE("all hosts stop and start: what was applied is there again") {
  Group group(3);
  group.start_all();
  group.propose_until_applied("kept");
  for (PeerId id = 1; id <= 3; ++id) group.stop(id);
  group.start_all();
  group.propose_until_applied("new");
  group.wait_for_equal({1, 2, 3});
  CHECK(group[1].machine.texts().front() == "kept");
}

TEST_CASE("a read sees what was applied before it, at the leader and at a follower") {
  Group group(3);
  group.start_all();
  const PeerId leader = group.wait_for_leader();
  const PeerId follower = leader == 1 ? 2 : 1;
  for (int i = 0; i < 20; ++i) {
    const auto text = "text " + std::to_string(i);
    const auto written = group.propose(leader, text);
    REQUIRE(written.outcome == ProposalOutcome::kApplied);
    for (const PeerId at : {leader, follower}) {
      const auto read = group.read_index(at);
      REQUIRE(read.has_value());
      CHECK(*read >= written.index);
      CHECK(group[at].machine.texts().back() == text);
    }
  }
}

TEST_CASE("a leader without its followers answers no read and applies nothing") {
  Group group(3);
  group.start_all();
  const PeerId leader = group.wait_for_leader();
  for (PeerId id = 1; id <= 3; ++id) {
    if (id != leader) group.stop(id);
  }
  const auto read = group.read_index(leader);
  REQUIRE(!read.has_value());
  CHECK((read.error().code == ErrorCode::kTimedOut || read.error().code == ErrorCode::kNotMain));
  const auto result = group.propose(leader, "in vain");
  CHECK((result.outcome == ProposalOutcome::kIndeterminate ||
         result.outcome == ProposalOutcome::kNotProposed));
  CHECK(group[leader].machine.size() == 0);
}

TEST_CASE("leadership is handed over on demand") {
  Group group(3);
  group.start_all();
  const PeerId before = group.wait_for_leader();
  group.propose_until_applied("before");
  const PeerId to = before == 3 ? 1 : 3;
  group[before]->transfer_leader(to);
  wait_until("the other one leads", [&] { return group.wait_for_leader() == to; });
  group.propose_until_applied("after");
  group.wait_for_equal({1, 2, 3});
}

TEST_CASE("a new member catches up, votes, and a removed one is missed by nobody") {
  Group group(3);
  group.add(4);
  group.start_all();
  const PeerId leader = group.wait_for_leader_but(4);
  REQUIRE(group.propose(leader, "early").outcome == ProposalOutcome::kApplied);
  REQUIRE(group.change(leader, ConfChangeType::kAddLearner, 4).outcome ==
          ProposalOutcome::kApplied);
  group.wait_for_text(4, "early");
  REQUIRE(group.change(leader, ConfChangeType::kAddVoter, 4).outcome == ProposalOutcome::kApplied);
  const PeerId removed = leader == 1 ? 2 : 1;
  REQUIRE(group.change(leader, ConfChangeType::kRemove, removed).outcome ==
          ProposalOutcome::kApplied);
  group.stop(removed);
  for (PeerId id = 1; id <= 4; ++id) {
    if (id != removed) group[id]->remove_peer(removed);
  }
  // Of three voters two suffice, and the new one is needed.
  const PeerId third = 6 - leader - removed;
  group.stop(third);
  CHECK(group.propose(leader, "with the new one").outcome == ProposalOutcome::kApplied);
  group.wait_for_text(4, "with the new one");
  CHECK(group.status(4).conf.voters.size() == 3);
}

TEST_CASE("a group is not left without voters, and one change waits for the other") {
  Group group(1);
  group.start_all();
  REQUIRE(group.wait_for_leader() == 1);
  CHECK(group.change(1, ConfChangeType::kRemove, 1).outcome == ProposalOutcome::kNotProposed);
  CHECK(group.change(1, ConfChangeType::kAddLearner, 1).outcome == ProposalOutcome::kNotProposed);
  CHECK(group.propose(1, "still here").outcome == ProposalOutcome::kApplied);
}

}  // namespace
}  // namespace andyx::raft
