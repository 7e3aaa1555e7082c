// Disks that hang, fail or are lost, threads that stand still, peers that are far behind.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>

#include "raft/host/snapshot_transfer.h"
#include "tests/raft/host/group.h"
#include "tests/raft/host/memory_raft_store.h"
#include "tests/raft/host/raw_peer.h"

namespace andyx::raft {
namespace {

void quick_to_notice(HostOptions& options) { options.disk_hang_ms = 300; }

TEST_CASE(
    "a leader whose disk hangs steps down, another one leads, and it follows when it is back") {
  std::atomic<Term> stepped_down_in = 0;  // outlives the hosts
  Group group(3, quick_to_notice);
  group.start_all();
  const PeerId hung = group.wait_for_leader();
  REQUIRE(group.propose(hung, "before").outcome == ProposalOutcome::kApplied);
  const Term term = group.status(hung).hard.term;
  group[hung]->on_leader_change([&](SoftState soft, Term now) {
    if (soft.role != Role::kLeader && stepped_down_in == 0) stepped_down_in = now;
  });
  group[hung].disk->hang(true);
  std::atomic<int> answered = 0;
  // Its followers have it, so it may be committed; the hung one must not be what it waits for.
  group[hung]->propose(bytes_of("in between"), [&](ProposalResult) { ++answered; });
  wait_until("it steps down", [&] { return group.status(hung).soft.role != Role::kLeader; });
  CHECK(group[hung].log.contain("the disk hangs"));
  CHECK(stepped_down_in == term);  // by itself, not because another one leads
  const PeerId next = group.wait_for_leader_but(hung);
  CHECK(next != hung);
  CHECK(group.propose(next, "without it").outcome == ProposalOutcome::kApplied);
  CHECK(group.status(hung).soft.role != Role::kLeader);
  CHECK(group.propose(hung, "not here").outcome == ProposalOutcome::kNotProposed);
  group[hung].disk->hang(false);
  group.wait_for_text(hung, "without it");
  group.wait_for_equal({1, 2, 3});
  wait_until("the proposal is answered", [&] { return answered == 1; });
}

TEST_CASE("a host whose disk fails stops and says why; the others go on") {
  Group group(3);
  group.start_all();
  const PeerId broken = group.wait_for_leader();
  group[broken].disk->fail();
  std::atomic<bool> answered = false;
  group[broken]->propose(bytes_of("lost"), [&](ProposalResult result) {
    CHECK((result.outcome == ProposalOutcome::kIndeterminate ||
           result.outcome == ProposalOutcome::kNotProposed));
    answered = true;
  });
  wait_until("it has stopped", [&] { return group[broken]->failure().has_value(); });
  CHECK(group[broken]->failure()->message == "the disk failed");
  wait_until("the proposal is answered", [&] { return answered.load(); });
  CHECK(group.propose(broken, "no").outcome == ProposalOutcome::kNotProposed);
  CHECK(!group.read_index(broken).has_value());
  const PeerId next = group.wait_for_leader_but(broken);
  CHECK(group.propose(next, "on").outcome == ProposalOutcome::kApplied);
}

TEST_CASE("a peer that lost its disk does not come back as itself, but under a new id") {
  Group group(3);
  group.add(4);
  for (PeerId id = 1; id <= 3; ++id) group.start(id);
  const PeerId leader = group.wait_for_leader();
  REQUIRE(group.propose(leader, "before").outcome == ProposalOutcome::kApplied);
  const PeerId lost = leader == 3 ? 2 : 3;
  group.wait_for_text(lost, "before");
  group.stop(lost);
  group.wipe(lost);
  group.start(lost);
  // The lower id dials: it is told, or finds out itself.
  for (PeerId id = 1; id <= 3; ++id) {
    if (id == lost) continue;
    const auto& finds_out = id < lost ? group[id].log : group[lost].log;
    const auto& is_told = id < lost ? group[lost].log : group[id].log;
    wait_until("both know why", [&] {
      return (finds_out.contain("it is known with disk") || is_told.contain("peer_conflict")) &&
             (is_told.contain("peer_conflict") || is_told.contain("it is known with disk"));
    });
  }
  // It votes for nobody and leads nobody: of three voters both others are needed now.
  CHECK(group.propose(leader, "without it").outcome == ProposalOutcome::kApplied);
  CHECK(group[lost].machine.size() == 0);
  CHECK(group.status(lost).soft.leader == kNone);
  group.stop(lost);
  group.start(4);
  REQUIRE(group.change(leader, ConfChangeType::kAddVoter, 4).outcome == ProposalOutcome::kApplied);
  REQUIRE(group.change(leader, ConfChangeType::kRemove, lost).outcome == ProposalOutcome::kApplied);
  group.wait_for_text(4, "without it");
}

TEST_CASE("two peers with one id: the second one is refused and the group goes on") {
  Group group(3);
  group.start_all();
  const PeerId leader = group.wait_for_leader();
  group.propose_until_applied("before");
  const PeerId twice = leader == 1 ? 2 : 1;
  HostOptions options = group.options(twice);
  options.store.identity.disk_id = "disk-of-the-second";
  options.listen.port = 0;
  auto disk = std::make_shared<MemoryDisk>();
  options.open_store = [disk](const StoreOptions&) {
    return Result<std::unique_ptr<RaftStore>>(std::make_unique<MemoryRaftStore>(disk));
  };
  LogLines log;
  options.log = [&](LogLevel, std::string_view line) { log.add(std::string(line)); };
  TextMachine machine;
  auto second = RaftHost::start(options, machine);
  REQUIRE(second.has_value());
  wait_until("it is refused", [&] { return log.contain("peer_conflict"); });
  CHECK(group.propose(leader, "after").outcome == ProposalOutcome::kApplied);
  group.wait_for_equal({1, 2, 3});
  CHECK(machine.size() == 0);
}

TEST_CASE("a leader whose thread stood still knows that it leads no more before it serves") {
  Group group(3);
  group.start_all();
  const PeerId paused = group.wait_for_leader();
  const Term term = group.status(paused).hard.term;
  std::promise<void> released;
  group[paused]->status([go = released.get_future().share()](NodeStatus) { go.wait(); });
  const PeerId next = group.wait_for_leader_but(paused);
  REQUIRE(next != paused);
  REQUIRE(group.propose(next, "newer").outcome == ProposalOutcome::kApplied);
  // Ticks of two election timeouts are enough to know that no quorum answers.
  const HostOptions options = group.options(paused);
  const std::uint64_t stands_ns = 2'000'000ull * options.tick_ms * options.election_ticks;
  wait_until("it stood still for long enough",
             [&, since = net::boottime_ns()] { return net::boottime_ns() - since > stands_ns; });
  // Asked while it still stands; so many that they are not held back to be proposed together.
  constexpr int kLate = 300;
  std::atomic<int> refused = 0, answered = 0;
  for (int i = 0; i < kLate; ++i) {
    group[paused]->propose(bytes_of("late"), [&](ProposalResult result) {
      if (result.outcome == ProposalOutcome::kNotProposed) ++refused;
      ++answered;
    });
  }
  std::atomic<int> reads = 0;
  std::atomic<bool> stale = false;
  group[paused]->read_index([&](Result<Index> read) {
    if (read.has_value()) {
      const auto texts = group[paused].machine.texts();
      stale = std::ranges::find(texts, "newer") == texts.end();
    }
    ++reads;
  });
  released.set_value();
  wait_until("all is answered", [&] { return answered == kLate && reads == 1; });
  CHECK(refused == kLate);
  CHECK(!stale);
  group.wait_for_text(paused, "newer");
  CHECK(group.status(paused).hard.term > term);
  group.wait_for_equal({1, 2, 3});
}

TEST_CASE("a follower that is far behind gets a snapshot in chunks, and the term stays") {
  // Patient, so that a busy machine changes no leader.
  Group group(3, [](HostOptions& options) {
    options.snapshot_every_bytes = 1 << 20;
    options.election_ticks = 100;
  });
  group.start_all();
  const PeerId leader = group.wait_for_leader();
  const PeerId behind = leader == 1 ? 2 : 1;
  group.propose_until_applied("before");
  group.stop(behind);
  const Term term = group.status(leader).hard.term;
  for (int i = 0; i < 48; ++i) {
    group.propose_until_applied(std::to_string(i) + std::string(256 * limits::kKiB, 'x'));
  }
  wait_until("the log is compacted", [&] { return group[leader].disk->first_index() > 20; });
  const int restored = group[behind].machine.restored();
  group.start(behind);
  group.wait_for_equal({1, 2, 3});
  CHECK(group[behind].machine.size() == 49);
  CHECK(group[behind].machine.restored() >= restored + 1);
  group.propose_until_applied("after");
  group.wait_for_text(behind, "after");
  CHECK(group.status(leader).hard.term == term);
  CHECK(group.status(behind).hard.term == term);
}

// What of interest a leader sends to a peer that is played by the test.
struct Seen {
  std::size_t chunk_bytes = 0;
  std::size_t heartbeats_behind_chunks = 0;
};

// Rejects appends, so that a snapshot is needed, and acknowledges no chunk.
void follow_without_acknowledging(RawPeer& peer, PeerId leader, Seen& seen) {
  while (seen.heartbeats_behind_chunks < 20) {
    const auto frame = peer.next();
    REQUIRE(frame.has_value());
    const auto& root = RawPeer::root(*frame);
    if (const auto* chunk = root.body_as_RaftSnapshotChunk()) {
      seen.chunk_bytes += chunk->payload()->size();
      CHECK(chunk->payload()->size() <= limits::kMaxRaftSnapshotChunkBytes);
    }
    const auto* body = root.body_as_RaftMessages();
    if (body == nullptr) continue;
    const auto messages = read_messages(*body, leader, 1);
    REQUIRE(messages.has_value());
    for (const Message& message : *messages) {
      if (message.type == MessageType::kAppend) {
        peer.send_messages({{.type = MessageType::kAppendReply,
                             .from = 1,
                             .term = message.term,
                             .index = message.index,
                             .reject = true}});
      } else if (message.type == MessageType::kHeartbeat) {
        if (seen.chunk_bytes > 0) ++seen.heartbeats_behind_chunks;
        peer.send_messages({{.type = MessageType::kHeartbeatReply,
                             .from = 1,
                             .term = message.term,
                             .context = message.context,
                             .tick = message.tick}});
      }
    }
  }
}

TEST_CASE("heartbeats overtake a snapshot that the peer takes slowly") {
  Group group(3, [](HostOptions& options) { options.snapshot_every_bytes = 1 << 20; });
  group.start(2);
  group.start(3);
  const PeerId leader = group.wait_for_leader();
  for (int i = 0; i < 8; ++i) {
    group.propose_until_applied(std::string(512 * limits::kKiB, 'x'));
  }
  wait_until("the log is compacted", [&] { return group[leader].disk->first_index() > 2; });
  RawPeer peer(group[leader].port);
  peer.greet(1, leader, "disk-1");
  Seen seen;
  follow_without_acknowledging(peer, leader, seen);
  CHECK(seen.chunk_bytes == kSnapshotWindowBytes);
}

}  // namespace
}  // namespace andyx::raft
