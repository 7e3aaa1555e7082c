// Hosts on their real stores: what is kept over restarts is on the disk.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/raft/host/folder.h"
#include "tests/raft/host/group.h"

namespace andyx::raft {
namespace {

std::function<void(HostOptions&)> stored_in(const Folder& folder, std::uint64_t snapshot_bytes) {
  return [path = folder.path, snapshot_bytes](HostOptions& options) {
    options.open_store = nullptr;
    options.store.path = path + "/peer-" + std::to_string(options.store.identity.peer);
    options.snapshot_every_bytes = snapshot_bytes;
    options.election_ticks = 25;
  };
}

TEST_CASE("what three hosts decided is there after they all stopped") {
  const Folder folder;
  Group group(3, stored_in(folder, 64 << 20));
  group.start_all();
  for (int i = 0; i < 20; ++i) group.propose_until_applied("text " + std::to_string(i));
  for (PeerId id = 1; id <= 3; ++id) group.stop(id);
  group.start_all();
  group.propose_until_applied("after");
  group.wait_for_equal({1, 2, 3});
  CHECK(group[1].machine.texts().front() == "text 0");
  CHECK(group[1].machine.size() >= 21);
}

TEST_CASE("on real disks: the leader goes, another leads, and the first catches up by snapshot") {
  const Folder folder;
  Group group(3, stored_in(folder, 512 << 10));
  group.start_all();
  const PeerId first = group.wait_for_leader();
  group.propose_until_applied("before");
  group.stop(first);
  for (int i = 0; i < 24; ++i) {
    group.propose_until_applied(std::to_string(i) + std::string(256 << 10, 'x'));
  }
  group.start(first);
  group.wait_for_equal({1, 2, 3});
  CHECK(group[first].machine.restored() >= 2);  // once at the bootstrap
  // And again from what each has on its disk.
  for (PeerId id = 1; id <= 3; ++id) group.stop(id);
  group.start_all();
  group.propose_until_applied("after");
  group.wait_for_equal({1, 2, 3});
  CHECK(group[first].machine.texts().front() == "before");
}

TEST_CASE("a lost disk is remembered by peers that were restarted since") {
  const Folder folder;
  Group group(3, stored_in(folder, 64 << 20));
  group.start_all();
  group.propose_until_applied("before");
  group.wait_for_equal({1, 2, 3});
  for (PeerId id = 1; id <= 3; ++id) group.stop(id);
  std::filesystem::remove_all(folder.path + "/peer-1");
  std::filesystem::remove(folder.path + "/peer-1.peers");
  group.wipe(1);
  group.start_all();
  wait_until("it is told", [&] { return group[1].log.contain("peer_conflict"); });
  wait_until("the others lead without it", [&] {
    for (const PeerId id : {PeerId{2}, PeerId{3}}) {
      if (group.propose(id, "after").outcome == ProposalOutcome::kApplied) return true;
    }
    return false;
  });
  CHECK(group.status(1).soft.leader == kNone);
  CHECK(group[1].machine.size() == 0);
}

TEST_CASE("a store of another peer, or a second host on it, is not opened") {
  const Folder folder;
  Group group(1, stored_in(folder, 64 << 20));
  group.start_all();
  group.propose_until_applied("mine");
  TextMachine machine;
  auto options = group.options(1);
  options.listen.port = 0;
  auto twice = RaftHost::start(options, machine);
  REQUIRE(!twice.has_value());
  CHECK(twice.error().code == ErrorCode::kDataDirLocked);
  group.stop(1);
  options.store.identity.disk_id = "another";
  auto other = RaftHost::start(options, machine);
  REQUIRE(!other.has_value());
  CHECK(other.error().code == ErrorCode::kBadArgument);
  options = group.options(1);
  options.listen = {.host = "127.0.0.1", .port = group[1].port};
  options.election_ticks = options.heartbeat_ticks;
  auto wrong = RaftHost::start(options, machine);
  REQUIRE(!wrong.has_value());
  CHECK(wrong.error().code == ErrorCode::kBadArgument);
}

TEST_CASE("voters of a new group have to be possible") {
  const Folder folder;
  Group group(1, stored_in(folder, 64 << 20));
  TextMachine machine;
  auto options = group.options(1);
  for (const std::vector<PeerId>& voters :
       {std::vector<PeerId>{2, 3}, {1, 1}, {0, 1}, {1, kApplyThread}}) {
    options.bootstrap_voters = voters;
    auto host = RaftHost::start(options, machine);
    REQUIRE(!host.has_value());
    CHECK(host.error().code == ErrorCode::kBadArgument);
  }
  group.start_all();
  CHECK(group.wait_for_leader() == 1);
}

}  // namespace
}  // namespace andyx::raft
