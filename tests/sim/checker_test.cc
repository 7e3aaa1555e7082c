// Each invariant, broken by hand: a checker that lets it pass would let the core pass.
#include <doctest/doctest.h>

#include "tests/sim/checker.h"
#include "tests/sim/clients.h"
#include "tests/sim/violation.h"

namespace andyx::raft::sim {

namespace {

constexpr Index kFirst = 5;

// Three peers with disks, a leader where a test says so, everything else by hand.
struct Bench {
  Disk disks[4];
  ConfState conf{.voters = {1, 2, 3}};
  Checker checker{[this](PeerId id) { return id < 4 ? &disks[id] : nullptr; }, true};

  Bench() {
    Machine machine;
    machine.set_start(kFirst);
    const auto snapshot = std::make_shared<const Snapshot>(
        Snapshot{.meta = {.index = kFirst, .term = 1, .conf = conf}, .data = machine.save()});
    checker.begin(snapshot->meta, machine);
    for (PeerId id = 1; id <= 3; id++) {
      disks[id].format(snapshot, {.term = 1, .commit = kFirst});
      checker.started(id, {.term = 1, .commit = kFirst});
    }
  }

  void write(PeerId id, const std::vector<Entry>& entries, bool sync = true) {
    checker.writing(id, disks[id], entries);
    disks[id].write(entries);
    if (sync) {
      disks[id].sync();
    }
  }
  void vote(PeerId id, Term term, PeerId candidate) {
    disks[id].write(HardState{.term = term, .vote = candidate, .commit = kFirst});
    disks[id].sync();
    checker.synced(id, disks[id]);
  }
  void observe(PeerId id, const HardState& hard, Role role) {
    checker.observe(id, hard, {.leader = id, .role = role}, disks[id].last_index(), disks[id],
                    [this] { return conf; });
  }
  void lead(PeerId id, Term term, Index commit = kFirst) {
    observe(id, {.term = term, .vote = id, .commit = commit}, Role::kLeader);
  }
  void elect(PeerId id, Term term) {
    for (PeerId voter = 1; voter <= 3; voter++) {
      if (voter == id || voter == 2) {
        vote(voter, term, id);
      }
    }
    lead(id, term);
  }
};

std::string broken(const auto& act) {
  try {
    act();
  } catch (const Violation& violation) {
    return violation.invariant;
  }
  return "";
}

Entry entry(Index index, Term term) { return {.term = term, .index = index}; }

}  // namespace

TEST_CASE("a run without a fault passes, and commits") {
  Bench bench;
  bench.elect(1, 2);
  bench.write(1, {entry(6, 2)});
  bench.write(3, {entry(6, 2)});
  bench.lead(1, 2, 6);
  CHECK(bench.checker.committed() == 6);
  Machine machine;
  machine.set_start(kFirst);
  machine.apply(entry(6, 2));
  bench.checker.applied(1, entry(6, 2), machine);
  CHECK(bench.checker.elections() == 1);
}

TEST_CASE("two leaders of one term, a leader without votes, and two votes of a term are found") {
  Bench bench;
  bench.elect(1, 2);
  CHECK(broken([&] { bench.lead(3, 2); }) == "election safety");
  CHECK(broken([&] { bench.lead(3, 3); }) == "elected by a quorum");
  CHECK(broken([&] { bench.vote(2, 2, 3); }) == "one vote a term");
}

TEST_CASE("terms and commit indexes that go back are found, also over a restart") {
  Bench bench;
  bench.observe(2, {.term = 4, .commit = kFirst}, Role::kFollower);
  CHECK(broken([&] { bench.observe(2, {.term = 3, .commit = kFirst}, Role::kFollower); }) ==
        "monotonic term");
  CHECK(broken([&] { bench.observe(2, {.term = 4, .commit = 4}, Role::kFollower); }) ==
        "monotonic commit");
  bench.vote(2, 4, 1);
  CHECK(broken([&] { bench.checker.started(2, {.term = 3, .commit = kFirst}); }) ==
        "monotonic term");
}

TEST_CASE("a commit that no quorum has synced is found, one of an earlier term too") {
  Bench bench;
  bench.elect(1, 2);
  bench.write(1, {entry(6, 2)});
  bench.write(2, {entry(6, 2)}, false);
  CHECK(broken([&] { bench.lead(1, 2, 6); }) == "commit by a quorum");

  Bench later;
  later.write(1, {entry(6, 2)});
  later.write(2, {entry(6, 2)});
  later.elect(1, 3);
  CHECK(broken([&] { later.lead(1, 3, 6); }) == "commit by a quorum");
}

TEST_CASE("logs that part and join, and committed entries that are replaced, are found") {
  Bench bench;
  bench.write(1, {entry(6, 2), entry(7, 3)});
  CHECK(broken([&] { bench.write(2, {entry(6, 1), entry(7, 3)}); }) == "log matching");

  Bench lost;
  lost.elect(1, 2);
  lost.write(1, {entry(6, 2)});
  lost.write(2, {entry(6, 2)});
  lost.lead(1, 2, 6);
  CHECK(broken([&] { lost.write(2, {entry(6, 3)}); }) == "committed entries stay");
  lost.vote(2, 4, 3);
  lost.vote(3, 4, 3);
  CHECK(broken([&] {
          lost.lead(3, 4);
          lost.write(3, {entry(6, 4)});
        }) == "leader completeness");
}

TEST_CASE("a second membership change before the first is committed is found") {
  Bench bench;
  bench.elect(1, 2);
  Entry change = entry(6, 2);
  change.type = EntryType::kConfChangeV2;
  bench.write(1, {change});
  change.index = 7;
  CHECK(broken([&] { bench.write(1, {change}); }) == "one membership change at a time");
}

TEST_CASE("another entry applied, or applied twice, is found") {
  Bench bench;
  bench.elect(1, 2);
  bench.write(1, {entry(6, 2)});
  bench.write(2, {entry(6, 2)});
  Machine machine;
  machine.set_start(kFirst);
  machine.apply(entry(6, 2));
  CHECK(broken([&] { bench.checker.applied(1, entry(6, 2), machine); }) ==
        "state machine safety");  // not committed yet
  bench.lead(1, 2, 6);
  bench.checker.applied(1, entry(6, 2), machine);
  CHECK(broken([&] { bench.checker.applied(2, entry(6, 1), machine); }) == "state machine safety");
  machine.apply(entry(6, 2));
  CHECK(broken([&] { bench.checker.applied(2, entry(6, 2), machine); }) == "state machine safety");
}

TEST_CASE("answers that leave before what they promise is durable are found") {
  Bench bench;
  const auto reply = [](MessageType type, Term term, Index index) {
    return Message{.type = type, .from = 2, .to = 1, .term = term, .index = index};
  };
  CHECK(broken([&] {
          bench.checker.sending(reply(MessageType::kVoteReply, 2, 0), bench.disks[2]);
        }) == "persist before send");
  bench.write(2, {entry(6, 1)}, false);
  CHECK(broken([&] {
          bench.checker.sending(reply(MessageType::kAppendReply, 1, 6), bench.disks[2]);
        }) == "persist before send");
  bench.disks[2].sync();
  CHECK(broken([&] {
          bench.checker.sending(reply(MessageType::kAppendReply, 1, 6), bench.disks[2]);
        }).empty());
}

TEST_CASE("a read of what is outdated is found") {
  Bench bench;
  Options options;
  options.clients = 1;
  Clients clients(options, bench.checker);
  const std::uint64_t context = clients.audit(2);
  CHECK(broken([&] { clients.read_indexed(2, context, kFirst); }).empty());
  CHECK(broken([&] { clients.read_indexed(2, context, kFirst - 1); }) == "no stale read");
}

}  // namespace andyx::raft::sim
