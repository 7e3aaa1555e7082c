// Bounds, leases and what a host relies on beyond the transcripts.
#include <doctest/doctest.h>

#include "tests/raft/core/allocations.h"
#include "tests/raft/core/group.h"

namespace andyx::raft {

namespace {

using tests::bytes_of;
using tests::Group;

void tick_and_settle(Group& group, PeerId id, int ticks) {
  for (int at = 0; at < ticks; at++) {
    group.core(id).tick();
    group.settle();
  }
}

std::size_t count(const Group& group, MessageType type) {
  std::size_t found = 0;
  for (const Message& message : group.messages) {
    found += message.type == type ? 1 : 0;
  }
  return found;
}

}  // namespace

TEST_CASE("a heartbeat allocates nothing") {
  Group group(3);
  group.elect(1);
  Ready leader;
  Ready follower;
  std::size_t beats = 0;
  const auto round = [&] {
    group.core(1).tick();
    if (!group.core(1).has_ready()) {
      return;
    }
    group.core(1).ready(leader);
    group.core(1).advance();
    for (Message& message : leader.messages) {
      const PeerId to = message.to;
      beats += message.type == MessageType::kHeartbeat ? 1 : 0;
      static_cast<void>(group.core(to).step(std::move(message)));
      group.core(to).ready(follower);
      group.core(to).advance();
      for (Message& reply : follower.messages) {
        static_cast<void>(group.core(1).step(std::move(reply)));
      }
    }
  };
  for (int warm = 0; warm < 10; warm++) {
    round();
  }
  beats = 0;
  const std::size_t before = tests::allocations();
  for (int at = 0; at < 1'000; at++) {
    round();
  }
  CHECK(tests::allocations() - before == 0);
  CHECK(beats == 2'000);
}

TEST_CASE("a proposal over the uncommitted limit is refused, and taken when there is room") {
  Group group(3, [](Config& config) { config.max_uncommitted_bytes = 100; });
  group.elect(1);
  REQUIRE(group.core(1).propose(bytes_of(std::string(60, 'a'))));
  const auto refused = group.core(1).propose(bytes_of(std::string(60, 'b')));
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == StepError::kProposalDropped);
  CHECK(group.core(1).propose(bytes_of("")));  // nothing is never too much
  group.settle();
  CHECK(group.core(1).propose(bytes_of(std::string(60, 'b'))));
  group.settle();
  // A single one of any size, when nothing else is uncommitted.
  CHECK(group.core(1).propose(bytes_of(std::string(1'000, 'c'))));
  group.settle();
  CHECK(group[2].applied.size() == group[1].applied.size());
}

TEST_CASE("appends are bounded in size, in number and in bytes under way") {
  Group group(2, [](Config& config) {
    config.max_append_bytes = 100;
    config.max_inflight_bytes = 200;
    config.max_inflight_appends = 8;
  });
  group.elect(1);
  for (int at = 0; at < 20; at++) {
    REQUIRE(group.core(1).propose(bytes_of(std::string(60, 'a'))));
  }
  group.handle_ready(1);
  CHECK(count(group, MessageType::kAppend) == 4);  // the fourth passes 200 bytes
  for (const Message& message : group.messages) {
    CHECK(message.entries.size() == 1);
  }
  CHECK(group.core(1).status().progress.at(2).inflight_full);
  group.settle();
  CHECK(group[2].applied.size() == group[1].applied.size());
  CHECK(group[2].applied.size() == 21);
}

TEST_CASE("committed entries are handed out within the limit") {
  Group group(1, [](Config& config) { config.max_applying_bytes = 150; });
  group.elect(1);
  for (int at = 0; at < 10; at++) {
    REQUIRE(group.core(1).propose(bytes_of(std::string(60, 'a'))));
  }
  std::size_t most = 0;
  group.checked = [&](tests::Peer&, const Ready& ready) {
    most = std::max(most, ready.committed.size());
  };
  group.settle();
  CHECK(most == 2);
  CHECK(group[1].applied.size() == 11);
}

TEST_CASE("a lease answers reads at once, and ends with silence, transfer and time") {
  Group group(3, [](Config& config) {
    config.read_only = ReadOnly::kLease;
    config.check_quorum = true;
  });
  group.elect(1);
  const auto answered_at_once = [&](std::uint64_t context) {
    group[1].reads.clear();
    group.core(1).read_index(context);
    group.handle_ready(1);
    return !group[1].reads.empty();
  };
  CHECK_FALSE(answered_at_once(1));  // nobody has answered a heartbeat yet
  group.settle();
  CHECK(group[1].reads.size() == 1);  // by a round
  tick_and_settle(group, 1, 3);
  CHECK(answered_at_once(2));
  group.lose = [](const Message&) { return true; };
  tick_and_settle(group, 1, 6);
  CHECK(answered_at_once(3));
  tick_and_settle(group, 1, 1);
  CHECK_FALSE(answered_at_once(4));  // while it still believes that it leads
  CHECK(group.core(1).soft_state().role == Role::kLeader);

  group.lose = {};
  tick_and_settle(group, 1, 2);
  CHECK(answered_at_once(5));
  // The one it is transferred to may campaign at any later time without regard for leases.
  group.lose = [](const Message& message) { return message.type == MessageType::kTimeoutNow; };
  group.core(1).transfer_leader(2);
  group.settle();
  CHECK_FALSE(answered_at_once(6));
  tick_and_settle(group, 1, 12);  // given up
  CHECK(group.core(1).status().lead_transferee == kNone);
  CHECK_FALSE(answered_at_once(7));
}

TEST_CASE("a peer that restarts keeps the promise that it may have made to a leader") {
  Group group(3, [](Config& config) {
    config.read_only = ReadOnly::kLease;
    config.check_quorum = true;
  });
  group.elect(1);
  tick_and_settle(group, 1, 2);
  tests::Peer& restarted = group[2];
  restarted.config.applied = restarted.core->applied();
  restarted.core = std::make_unique<RawNode>(restarted.config);
  const Term term = restarted.core->hard_state().term;
  const Message vote{.type = MessageType::kVote,
                     .from = 3,
                     .to = 2,
                     .term = term + 1,
                     .log_term = term,
                     .index = restarted.core->last_index()};
  REQUIRE(restarted.core->step(vote));
  CHECK(restarted.core->hard_state().term == term);  // ignored
  for (std::uint32_t tick = 0; tick < restarted.config.election_ticks; tick++) {
    restarted.core->tick();
  }
  REQUIRE(restarted.core->step(vote));
  CHECK(restarted.core->hard_state().vote == 3);
}

TEST_CASE("reads that wait are bounded") {
  Group group(3);
  group.elect(1);
  group.lose = [](const Message&) { return true; };
  for (std::uint64_t context = 1; context <= 100'010; context++) {
    group.core(1).read_index(context);
    if (context % 1'000 == 0) {
      group.handle_ready(1);
      group.messages.clear();
    }
  }
  group.lose = {};
  tick_and_settle(group, 1, 1);
  CHECK(group[1].reads.size() == 100'000);
}

TEST_CASE("a leader steps down when its host asks, and another is elected") {
  Group group(3);
  group.elect(1);
  const Term term = group.core(1).hard_state().term;
  group.core(1).step_down();
  CHECK(group.core(1).soft_state() == SoftState{.leader = kNone, .role = Role::kFollower});
  CHECK(group.core(1).hard_state().term == term);
  group.elect(2);
  CHECK(group.core(1).soft_state().leader == 2);
}

TEST_CASE("what cannot work is said before it starts") {
  MemoryLogStorage storage;
  tests::QuietLogger logger;
  Config config{.id = 1, .storage = &storage, .logger = &logger};
  config.draw = [](std::uint32_t) { return 0u; };
  CHECK(invalid(config) == nullptr);
  const auto with = [&](auto change) {
    Config changed = config;
    change(changed);
    return invalid(changed) != nullptr;
  };
  CHECK(with([](Config& c) { c.id = kNone; }));
  CHECK(with([](Config& c) { c.id = kAppendThread; }));
  CHECK(with([](Config& c) { c.heartbeat_ticks = 0; }));
  CHECK(with([](Config& c) { c.election_ticks = c.heartbeat_ticks; }));
  CHECK(with([](Config& c) { c.storage = nullptr; }));
  CHECK(with([](Config& c) { c.draw = {}; }));
  CHECK(with([](Config& c) { c.max_inflight_appends = 0; }));
  CHECK(with([](Config& c) { c.max_inflight_bytes = 1; }));
  CHECK(with([](Config& c) { c.read_only = ReadOnly::kLease; }));
}

TEST_CASE("entries are applied also where one entry is the limit of everything") {
  Group group(1, [](Config& config) {
    config.max_append_bytes = 0;
    config.max_applying_bytes = 0;
  });
  group.elect(1);
  REQUIRE(group.core(1).propose(bytes_of("a")));
  group.settle();
  CHECK(group.core(1).applied() == group.core(1).last_index());
}

TEST_CASE("a snapshot waits for entries that the host is applying") {
  Group group(3);
  group.elect(1);
  ConfChange change;
  change.changes.push_back({ConfChangeType::kAddLearner, 4});
  REQUIRE(group.core(1).propose_conf_change(change));
  group.lose = [](const Message& message) {
    return message.type == MessageType::kAppend && message.entries.empty() && message.to == 3;
  };
  group.settle();
  group.lose = {};

  // Peer 3 has the change and learns now that it is committed; its host takes it and is slow.
  const HardState leads = group.core(1).hard_state();
  REQUIRE(group.core(3).hard_state().commit < leads.commit);
  REQUIRE(group.core(3).step({.type = MessageType::kHeartbeat,
                              .from = 1,
                              .to = 3,
                              .term = leads.term,
                              .commit = leads.commit}));
  Ready ready;
  group.core(3).ready(ready);
  REQUIRE(ready.committed.size() == 1);
  const auto snapshot = std::make_shared<const Snapshot>(
      Snapshot{.meta = {.index = leads.commit + 5,
                        .term = leads.term,
                        .conf = {.voters = {1, 2, 3}, .learners = {4, 5}}},
               .data = {}});
  const Message message{
      .type = MessageType::kSnapshot, .from = 1, .to = 3, .term = leads.term, .snapshot = snapshot};
  REQUIRE(group.core(3).step(message));
  CHECK(group.core(3).conf_state().learners.empty());
  CHECK(group.core(3).apply_conf_change(change).learners == std::vector<PeerId>{4});
  group.core(3).advance();

  REQUIRE(group.core(3).step(message));  // the leader sends it again
  CHECK(group.core(3).conf_state().learners == std::vector<PeerId>{4, 5});
}

TEST_CASE("who stays can elect a leader although only the removed one knows of its removal") {
  Group group(3);
  group.elect(1);
  ConfChange change;
  change.changes.push_back({ConfChangeType::kRemove, 1});
  REQUIRE(group.core(1).propose_conf_change(change));
  REQUIRE(group.core(1).propose(bytes_of("longer than what the others have")));
  // The others store the change; that it is committed, and what comes after it, is lost.
  const Index removal = group.core(1).last_index() - 1;
  const Index known = removal - 1;
  group.lose = [&](const Message& message) {
    return message.from == 1 && (message.commit > known || message.index >= removal);
  };
  group.settle();
  REQUIRE(group.core(1).hard_state().commit >= removal);
  REQUIRE(group.core(2).hard_state().commit < removal);
  REQUIRE(group.core(3).hard_state().commit < removal);
  group.lose = [](const Message& message) { return message.to == 3 && message.from == 2; };

  // Of three voters, as peer 2 believes, peer 1 refuses and peer 3 is not heard: it learns from the
  // refusal that two are voters.
  group.core(1).step_down();
  REQUIRE(group.core(2).campaign());
  group.settle();
  CHECK(group.core(2).conf_state().voters == std::vector<PeerId>{2, 3});
  group.lose = {};
  REQUIRE(group.core(2).campaign());
  group.settle();
  CHECK(group.core(2).soft_state().role == Role::kLeader);
}

TEST_CASE("a candidate leads only once its own vote is durable, whoever else votes for it") {
  Group group(3, [](Config& config) { config.async_storage_writes = true; });
  RawNode& core = group.core(1);
  REQUIRE(core.campaign());
  Ready ready;
  core.ready(ready);
  const Term term = core.hard_state().term;
  for (const PeerId voter : {2, 3}) {
    REQUIRE(core.step({.type = MessageType::kVoteReply, .from = voter, .to = 1, .term = term}));
  }
  CHECK(core.soft_state().role == Role::kCandidate);
  for (const Message& message : ready.messages) {
    for (const Message& response : message.responses) {
      REQUIRE(core.step(response));  // the append thread is done
    }
  }
  CHECK(core.soft_state().role == Role::kLeader);
}

}  // namespace andyx::raft
