// The host's pure parts, and the book of peers.
#include <doctest/doctest.h>

#include <fstream>
#include <future>

#include "raft/host/peer_book.h"
#include "raft/host/proposals.h"
#include "raft/host/reads.h"
#include "raft/host/snapshots.h"
#include "raft/host/tick_clock.h"
#include "tests/raft/host/folder.h"
#include "tests/raft/host/group.h"

namespace andyx::raft {
namespace {

TEST_CASE("ticks that were missed are due at once, up to the bound, and only once") {
  TickClock clock(20, 5, 1'000);
  CHECK(clock.take_due(1'019) == 0);
  CHECK(clock.take_due(1'020) == 1);
  CHECK(clock.take_due(1'030) == 0);
  CHECK(clock.take_due(1'079) == 2);  // the rest of a tick is not lost
  CHECK(clock.take_due(1'080) == 1);
  CHECK(clock.take_due(999'999) == 5);
  CHECK(clock.take_due(999'999) == 0);
  clock.skip_to(2'000'000);
  CHECK(clock.take_due(2'000'019) == 0);
  CHECK(clock.take_due(1'500'000) == 0);
}

struct Outcomes {
  std::vector<ProposalOutcome> all;
  RaftHost::ProposalDone next() {
    all.push_back(static_cast<ProposalOutcome>(99));
    return [this, at = all.size() - 1](ProposalResult result) { all[at] = result.outcome; };
  }
};

TEST_CASE("a proposal is applied where its entry stands, and lost where another one does") {
  Outcomes outcomes;
  Proposals proposals;
  proposals.add(2, 10, outcomes.next());
  proposals.add(2, 11, outcomes.next());
  proposals.add(2, 12, outcomes.next());
  // Leadership was lost and won again: index 12 was truncated and taken anew.
  proposals.add(4, 12, outcomes.next());
  proposals.applied(2, 10);
  proposals.applied(3, 11);
  proposals.applied(4, 12);
  CHECK(outcomes.all == std::vector{ProposalOutcome::kApplied, ProposalOutcome::kLost,
                                    ProposalOutcome::kLost, ProposalOutcome::kApplied});
  CHECK(proposals.size() == 0);
}

TEST_CASE("what nobody decides in time is indeterminate, what a snapshot covers too") {
  Outcomes outcomes;
  Proposals proposals;
  proposals.add(2, 10, outcomes.next());
  proposals.leadership_lost(1'000);
  proposals.add(3, 11, outcomes.next());
  proposals.expire(999);
  CHECK(proposals.size() == 2);
  proposals.expire(1'000);
  CHECK(proposals.size() == 1);
  CHECK(outcomes.all[0] == ProposalOutcome::kIndeterminate);
  proposals.restored(10);
  CHECK(proposals.size() == 1);
  proposals.restored(11);
  CHECK(outcomes.all[1] == ProposalOutcome::kIndeterminate);
  proposals.add(3, 12, outcomes.next());
  proposals.give_up();
  CHECK(outcomes.all[2] == ProposalOutcome::kIndeterminate);
}

TEST_CASE("a read is answered once its round is confirmed and its index applied") {
  Reads reads(100);
  std::vector<std::string> answers;
  const auto done = [&](std::string name) {
    return [&answers, name](Result<Index> read) {
      answers.push_back(name + (read ? " " + std::to_string(*read) : " no"));
    };
  };
  CHECK(reads.begin_round() == 0);
  reads.add(done("a"), 50);
  reads.add(done("b"), 60);
  CHECK(reads.begin_round() == 100);
  reads.add(done("c"), 60);
  CHECK(reads.begin_round() == 101);
  CHECK(reads.unconfirmed() == std::vector<std::uint64_t>{100, 101});
  reads.confirmed(100, 7);
  reads.confirmed(100, 7);
  reads.applied(6);
  CHECK(answers.empty());
  reads.expire(50);
  CHECK(answers == std::vector<std::string>{"a no"});
  reads.applied(7);
  CHECK(answers.back() == "b 7");
  reads.fail_all({ErrorCode::kShuttingDown, ""});
  CHECK(answers.back() == "c no");
  CHECK(answers.size() == 3);
}

TEST_CASE("snapshots are due by bytes, one at a time, and leave the younger half in the log") {
  SnapshotSchedule schedule(100);
  for (Index index = 1; index <= 9; ++index) schedule.applied(index, 10);
  CHECK(!schedule.due());
  schedule.applied(10, 10);
  CHECK(schedule.due());
  CHECK(schedule.begin() == 4);
  for (Index index = 11; index <= 20; ++index) schedule.applied(index, 10);
  CHECK(!schedule.due());
  schedule.saved();
  CHECK(schedule.due());
  CHECK(schedule.begin() == 14);
  schedule.saved();
  schedule.want();
  CHECK(schedule.due());
}

TEST_CASE("a snapshot before its time leaves what came since the one before it in the log") {
  SnapshotSchedule schedule(100);
  schedule.restored(5);
  for (Index index = 6; index <= 8; ++index) schedule.applied(index, 10);
  schedule.want();
  CHECK(schedule.begin() == 5);
  schedule.saved();
  for (Index index = 9; index <= 11; ++index) schedule.applied(index, 10);
  schedule.want();
  CHECK(schedule.begin() == 8);
}

// ---- Book ----

Status remember(PeerBook& book, PeerId peer, const std::string& disk) {
  std::promise<Status> stored;
  auto result = stored.get_future();
  book.remember(peer, disk, [&](Status status) { stored.set_value(std::move(status)); });
  REQUIRE(result.wait_for(kPatience) == std::future_status::ready);
  return result.get();
}

TEST_CASE("a peer's disk is remembered over restarts, and another one refused") {
  const Folder folder;
  const auto path = folder.path + "/peers";
  {
    auto book = PeerBook::open(path);
    REQUIRE(book.has_value());
    CHECK(!(*book)->disk_of(2));
    CHECK(remember(**book, 2, "disk-a"));
    CHECK(remember(**book, 3, "disk-b"));
    CHECK(remember(**book, 2, "disk-a"));
  }
  auto book = PeerBook::open(path);
  REQUIRE(book.has_value());
  CHECK((*book)->disk_of(2) == "disk-a");
  CHECK((*book)->disk_of(3) == "disk-b");
  const auto refused = remember(**book, 3, "disk-c");
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::kPeerConflict);
}

TEST_CASE("a book that cannot be written says so, and a damaged one is not believed") {
  const Folder folder;
  {
    auto book = PeerBook::open(folder.path + "/missing/peers");
    REQUIRE(book.has_value());
    const auto stored = remember(**book, 2, "disk-a");
    REQUIRE(!stored);
    CHECK(stored.error().code == ErrorCode::kIo);
  }
  const auto path = folder.path + "/peers";
  {
    auto book = PeerBook::open(path);
    REQUIRE(book.has_value());
    REQUIRE(remember(**book, 2, "disk-a"));
  }
  std::string text;
  {
    std::ifstream in(path);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(path) << damaged;
    const auto book = PeerBook::open(path);
    CAPTURE(at);
    REQUIRE(!book.has_value());
    CHECK(book.error().code == ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace andyx::raft
