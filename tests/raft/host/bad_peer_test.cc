// Strangers, liars and noise: refused with a clear error, while the group goes on.
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "tests/raft/host/group.h"
#include "tests/raft/host/raw_peer.h"

namespace andyx::raft {
namespace {

// Members 2 and 3 of a group of three; the test plays member 1, which is allowed to dial them.
struct TwoOfThree {
  Group group{3};
  PeerId leader = kNone;

  TwoOfThree() {
    group.start(2);
    group.start(3);
    group.propose_until_applied("before");
    leader = group.wait_for_leader();
  }
  // Nothing that was tried has harmed it.
  void check_unharmed() {
    group.propose_until_applied("after");
    group.wait_for_equal({2, 3});
    CHECK(!group[2]->failure());
    CHECK(!group[3]->failure());
  }
  Error refusal(const Hello& hello) {
    RawPeer peer(group[leader].port);
    peer.hello(hello);
    const Error error = peer.next_error();
    CHECK(peer.closed_in_the_end());
    return error;
  }
  Hello good_hello() {
    return {.from = {.cluster_id = "test", .id = 1, .disk_id = "disk-1", .incarnation = 1},
            .to = leader};
  }
};

TEST_CASE("hellos of those who do not belong here are refused by name") {
  TwoOfThree test;
  auto hello = test.good_hello();
  SUBCASE("another cluster") {
    hello.from.cluster_id = "other";
    const auto error = test.refusal(hello);
    CHECK(error.code == ErrorCode::kWrongCluster);
    CHECK(error.message.find("'other'") != std::string::npos);
    CHECK(test.group[test.leader].log.contain("belongs to cluster 'other', this is 'test'"));
  }
  SUBCASE("an unknown peer") {
    hello.from.id = 77;
    CHECK(test.refusal(hello).code == ErrorCode::kUnknownPeer);
  }
  SUBCASE("its own id") {
    hello.from.id = test.leader;
    CHECK(test.refusal(hello).code == ErrorCode::kPeerConflict);
  }
  SUBCASE("meant for another one") {
    hello.to = 5 - test.leader;
    CHECK(test.refusal(hello).code == ErrorCode::kUnknownPeer);
  }
  SUBCASE("an older protocol") {
    hello.min_version = hello.max_version = 0;
    const auto error = test.refusal(hello);
    CHECK(error.code == ErrorCode::kUnsupportedVersion);
    CHECK(error.message.find("speaks versions 0 to 0") != std::string::npos);
  }
  SUBCASE("a newer protocol only") {
    hello.min_version = hello.max_version = 2;
    CHECK(test.refusal(hello).code == ErrorCode::kUnsupportedVersion);
  }
  SUBCASE("no disk id") {
    hello.from.disk_id = "";
    CHECK(test.refusal(hello).code == ErrorCode::kBadArgument);
  }
  SUBCASE("a higher id that dials") {
    RawPeer peer(test.group[2].port);
    hello.from = {.cluster_id = "test", .id = 3, .disk_id = "disk-3"};
    hello.to = 2;
    peer.hello(hello);
    CHECK(peer.next_error().code == ErrorCode::kPeerConflict);
  }
  test.check_unharmed();
}

TEST_CASE("a second disk under a known id is refused, also after a restart of who knew it") {
  TwoOfThree test;
  {
    RawPeer first(test.group[test.leader].port);
    first.greet(1, test.leader, "disk-1");
  }
  auto hello = test.good_hello();
  hello.from.disk_id = "disk-of-another";
  const auto error = test.refusal(hello);
  CHECK(error.code == ErrorCode::kPeerConflict);
  CHECK(error.message.find("known with disk 'disk-1'") != std::string::npos);
  RawPeer again(test.group[test.leader].port);
  again.greet(1, test.leader, "disk-1");
  test.check_unharmed();
}

TEST_CASE("frames before the hello, and frames that no peer sends, end the connection") {
  TwoOfThree test;
  {
    RawPeer peer(test.group[test.leader].port);
    peer.send_messages({{.type = MessageType::kHeartbeat, .from = 1, .term = 1}});
    CHECK(peer.next_error().code == ErrorCode::kHelloRequired);
    CHECK(peer.closed_in_the_end());
  }
  {
    RawPeer peer(test.group[test.leader].port);
    peer.greet(1, test.leader, "disk-1");
    peer.send_body([](auto& builder) {
      return frame::Body{static_cast<std::uint8_t>(protocol::Body::TopicList),
                         protocol::CreateTopicList(builder).Union()};
    });
    CHECK(peer.next_error().code == ErrorCode::kUnknownBody);
  }
  test.check_unharmed();
}

TEST_CASE("a connection that says nothing is closed") {
  TwoOfThree test;
  RawPeer peer(test.group[test.leader].port);
  CHECK(peer.next_error().code == ErrorCode::kTimedOut);
}

// Bytes that announce a frame of `length` bytes.
std::vector<std::uint8_t> noise_of(std::uint32_t length, std::size_t size, std::mt19937& random) {
  std::vector<std::uint8_t> noise(size);
  for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
  std::memcpy(noise.data(), &length, sizeof length);
  return noise;
}

TEST_CASE("random bytes are refused") {
  constexpr std::size_t kNoiseBytes = 2'000;
  constexpr std::size_t kPrefixBytes = sizeof(std::uint32_t);
  TwoOfThree test;
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::uint32_t> whole(0, kNoiseBytes - kPrefixBytes);
  std::uniform_int_distribution<std::uint32_t> too_large(limits::kMaxFrameBytes + 1, UINT32_MAX);
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    RawPeer peer(test.group[test.leader].port);
    if (round % 2 == 0) peer.greet(1, test.leader, "disk-1");
    const bool is_whole = round % 4 < 2;
    const auto length = is_whole ? whole(random) : too_large(random);
    CAPTURE(length);
    peer.send_bytes(noise_of(length, kNoiseBytes, random));
    CHECK(peer.next_error().code == (is_whole ? ErrorCode::kBadFrame : ErrorCode::kFrameTooLarge));
    CHECK(peer.closed_in_the_end());
  }
  test.check_unharmed();
}

TEST_CASE("a frame that is announced and never comes whole ends the connection, with the reason") {
  TwoOfThree test;
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  RawPeer greeted(test.group[test.leader].port);
  greeted.greet(1, test.leader, "disk-1");
  greeted.send_bytes(noise_of(limits::kMaxFrameBytes, 2'000, random));
  RawPeer stranger(test.group[test.leader].port);
  stranger.send_bytes(noise_of(limits::kMaxRequestBytesBeforeHello, 2'000, random));
  CHECK(stranger.next_error().code == ErrorCode::kTimedOut);
  CHECK(stranger.closed_in_the_end());
  CHECK(greeted.next_error().code == ErrorCode::kIdleTimeout);
  CHECK(greeted.closed_in_the_end());
  test.check_unharmed();
}

// A frame of Raft messages as no encoder of ours would make it.
frame::Body messages_body(flatbuffers::FlatBufferBuilder& builder, const std::string& payload,
                          const std::vector<flatbuffers::Offset<protocol::RaftMessage>>& list) {
  const auto vector = builder.CreateVector(list);
  const auto bytes =
      builder.CreateVector(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
  return {static_cast<std::uint8_t>(protocol::Body::RaftMessages),
          protocol::CreateRaftMessages(builder, vector, bytes).Union()};
}

struct BadAppend {
  std::uint64_t term = 100;
  std::uint64_t log_term = 1;
  std::uint64_t index = 1;
  std::vector<protocol::RaftEntry> entries;
  std::string payload;
  protocol::RaftMessageKind kind = protocol::RaftMessageKind::append;
  std::uint64_t from = 1;
};

Error refusal_of(TwoOfThree& test, const BadAppend& bad) {
  RawPeer peer(test.group[test.leader].port);
  peer.greet(1, test.leader, "disk-1");
  peer.send_body([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto entries = builder.CreateVectorOfStructs(bad.entries);
    const auto message =
        protocol::CreateRaftMessage(builder, bad.kind, bad.from, bad.term, bad.log_term, bad.index,
                                    0, false, 0, false, 0, entries);
    return messages_body(builder, bad.payload, {message});
  });
  const Error error = peer.next_error();
  CHECK(peer.closed_in_the_end());
  return error;
}

TEST_CASE("messages that cannot be are refused, and the core never sees them") {
  using Kind = protocol::RaftEntryKind;
  TwoOfThree test;
  const std::vector<std::pair<const char*, BadAppend>> all = {
      {"its term 18446744073709551615 is far ahead",
       {.term = UINT64_MAX, .kind = protocol::RaftMessageKind::heartbeat}},
      {"has term 0", {.entries = {{0, 0, Kind::normal}}}},
      {"follows one of term 5", {.entries = {{5, 0, Kind::normal}, {4, 0, Kind::normal}}}},
      {"follows one of term 9", {.log_term = 9, .entries = {{5, 0, Kind::normal}}}},
      {"in a message of term 100", {.entries = {{101, 0, Kind::normal}}}},
      {"its index overflows", {.index = UINT64_MAX, .entries = {{5, 0, Kind::normal}}}},
      {"more bytes than there are", {.entries = {{5, 10, Kind::normal}}, .payload = "short"}},
      {"of no entry", {.entries = {{5, 1, Kind::normal}}, .payload = "longer"}},
      {"no membership change", {.entries = {{5, 1, Kind::conf_change}}, .payload = "\xff"}},
      {"unknown kind", {.entries = {{5, 0, static_cast<Kind>(9)}}}},
      {"kind 0 is not sent", {.kind = static_cast<protocol::RaftMessageKind>(0)}},
      {"kind 20 is not sent", {.kind = static_cast<protocol::RaftMessageKind>(20)}},
      {"kind 2 is not sent", {.kind = static_cast<protocol::RaftMessageKind>(2)}},
      {"speaks for peer 3", {.from = 3}},
      {"term 0", {.term = 0, .log_term = 0}},
      {"outside of an append",
       {.entries = {{5, 0, Kind::normal}}, .kind = protocol::RaftMessageKind::heartbeat}},
  };
  for (const auto& [what, bad] : all) {
    CAPTURE(what);
    const Error error = refusal_of(test, bad);
    CHECK((error.code == ErrorCode::kBadArgument || error.code == ErrorCode::kBadFrame));
    const std::string wanted = std::string(what).starts_with("its term") ? "far ahead" : what;
    CAPTURE(error.message);
    CHECK(error.message.find(wanted) != std::string::npos);
  }
  // Elections of a busy machine aside, the terms of these messages are unheard of.
  CHECK(test.group.status(test.leader).hard.term < BadAppend{}.term);
  test.check_unharmed();
}

TEST_CASE("frames with changed bytes stop nobody") {
  TwoOfThree test;
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  frame::FrameWriter writer;
  // Far behind the end of the log: with whatever term it gets through, nothing is overwritten.
  Message append{.type = MessageType::kAppend, .from = 1, .term = 1, .log_term = 1};
  append.index = 0x7777'7777'7777;
  append.entries = {{.term = 1, .data = bytes_of("one")}, {.term = 1, .data = bytes_of("three")}};
  const auto frames = messages_frames(writer, std::vector<Message>{append});
  REQUIRE(frames.size() == 1);
  std::vector<std::uint8_t> good(frames[0].head.span().begin(), frames[0].head.span().end());
  for (const auto& piece : frames[0].payload) {
    good.insert(good.end(), piece.span().begin(), piece.span().end());
  }
  good.resize(good.size() + frames[0].padding);
  for (int round = 0; round < 100; ++round) {
    RawPeer peer(test.group[test.leader].port);
    peer.greet(1, test.leader, "disk-1");
    auto bad = good;
    for (int changes = 0; changes < 3; ++changes) {
      bad[4 + random() % (bad.size() - 4)] = static_cast<std::uint8_t>(random());
    }
    peer.send_bytes(bad);
    peer.send_messages({{.type = MessageType::kTransferLeader, .from = kNone, .term = 1}});
    peer.next_error();
  }
  test.check_unharmed();
}

TEST_CASE("a snapshot that is not what its head says is refused") {
  TwoOfThree test;
  RawPeer peer(test.group[test.leader].port);
  peer.greet(1, test.leader, "disk-1");
  frame::FrameWriter writer;
  SnapshotHead head{.transfer = 7,
                    .term = 1,
                    .meta = {.index = 100, .term = 1, .conf = {.voters = {1, 2, 3}}},
                    .total_bytes = 10,
                    .checksum = 1234};
  const auto refused = [&] {
    while (auto frame = peer.next()) {
      if (const auto* no = RawPeer::root(*frame).body_as_RaftSnapshotRefused()) {
        return read_error(no->error()).code;
      }
    }
    return ErrorCode::kOk;
  };
  SUBCASE("its checksum") {
    peer.send(snapshot_head_frame(writer, head));
    peer.send(snapshot_chunk_frame(writer, 7, 0, bytes_of("0123456789")));
    CHECK(refused() == ErrorCode::kBadChecksum);
  }
  SUBCASE("too large") {
    head.total_bytes = limits::kMaxRaftSnapshotBytes + 1;
    peer.send(snapshot_head_frame(writer, head));
    CHECK(refused() == ErrorCode::kLimitReached);
  }
  SUBCASE("a chunk too many") {
    peer.send(snapshot_head_frame(writer, head));
    peer.send(snapshot_chunk_frame(writer, 7, 0, bytes_of("0123456789A")));
    CHECK(peer.next_error().code == ErrorCode::kBadFrame);
  }
  SUBCASE("a chunk out of order") {
    peer.send(snapshot_head_frame(writer, head));
    peer.send(snapshot_chunk_frame(writer, 7, 5, bytes_of("56789")));
    CHECK(peer.next_error().code == ErrorCode::kBadFrame);
  }
  SUBCASE("a configuration that cannot be") {
    head.meta.conf = {.voters = {1, 2, 3}, .learners = {3}};
    peer.send(snapshot_head_frame(writer, head));
    CHECK(peer.next_error().code == ErrorCode::kBadArgument);
  }
  SUBCASE("nobody in its configuration") {
    head.meta.conf = {};
    peer.send(snapshot_head_frame(writer, head));
    CHECK(peer.next_error().code == ErrorCode::kBadArgument);
  }
  test.check_unharmed();
}

}  // namespace
}  // namespace andyx::raft
