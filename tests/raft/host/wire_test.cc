// Messages and snapshots as frames, and back.
#include <doctest/doctest.h>

#include <random>

#include "frame_generated.h"
#include "protocol/batch/checksum.h"
#include "protocol/frame/frame_verify.h"
#include "raft/host/peer_wire.h"
#include "raft/host/snapshot_transfer.h"

namespace andyx::raft {
namespace {

SharedBytes random_bytes(std::mt19937_64& random, std::size_t size) {
  auto bytes = SharedBytes::allocate(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes.mutable_data()[i] = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

SharedBytes flat(const frame::OutFrame& frame) {
  auto bytes = SharedBytes::allocate(frame.size_bytes());
  std::size_t at = 0;
  const auto add = [&](ByteSpan piece) {
    std::copy(piece.begin(), piece.end(), bytes.mutable_data() + at);
    at += piece.size();
  };
  add(frame.head.span());
  for (const auto& piece : frame.payload) add(piece.span());
  std::fill_n(bytes.mutable_data() + at, frame.padding, std::uint8_t{0});
  return bytes;
}

std::vector<Message> sent_and_read(const std::vector<Message>& messages, std::size_t* frames) {
  frame::FrameWriter writer;
  std::vector<Message> all;
  const auto out = messages_frames(writer, messages);
  *frames = out.size();
  for (const auto& frame : out) {
    CHECK(frame.size_bytes() <= limits::kMaxFrameBytes);
    const auto bytes = flat(frame);
    const auto root = frame::verify_frame(bytes.span());
    REQUIRE(root.has_value());
    auto read = read_messages(*(*root)->body_as_RaftMessages(), 7, 9);
    if (!read) FAIL(read.error().message);
    for (Message& message : *read) all.push_back(std::move(message));
  }
  return all;
}

void check_equal(const Message& one, const Message& other) {
  CHECK(one.type == other.type);
  CHECK(one.from == other.from);
  CHECK(other.to == 9);
  CHECK(one.term == other.term);
  CHECK(one.log_term == other.log_term);
  CHECK(one.index == other.index);
  CHECK(one.commit == other.commit);
  CHECK(one.reject == other.reject);
  CHECK(one.reject_hint == other.reject_hint);
  CHECK(one.transfer == other.transfer);
  CHECK(one.context == other.context);
  CHECK(one.tick == other.tick);
  REQUIRE(one.entries.size() == other.entries.size());
  for (std::size_t i = 0; i < one.entries.size(); ++i) {
    CHECK(one.entries[i].term == other.entries[i].term);
    CHECK(one.entries[i].index == other.entries[i].index);
    CHECK(one.entries[i].type == other.entries[i].type);
    CHECK(std::ranges::equal(one.entries[i].data.span(), other.entries[i].data.span()));
  }
}

Message random_message(std::mt19937_64& random) {
  constexpr MessageType kTypes[] = {
      MessageType::kAppend,         MessageType::kAppendReply, MessageType::kVote,
      MessageType::kVoteReply,      MessageType::kHeartbeat,   MessageType::kHeartbeatReply,
      MessageType::kTransferLeader, MessageType::kTimeoutNow,  MessageType::kReadIndex,
      MessageType::kReadIndexReply, MessageType::kPreVote,     MessageType::kPreVoteReply};
  Message message{.type = kTypes[random() % std::size(kTypes)], .from = 7, .to = 9};
  message.term = 100 + random() % 1000;
  message.log_term = random() % 100;
  message.index = random() >> 20;
  message.commit = random();
  message.reject = random() % 2 == 0;
  message.reject_hint = random();
  message.transfer = random() % 2 == 0;
  message.context = random();
  message.tick = random();
  if (message.type != MessageType::kAppend) return message;
  for (std::uint64_t i = 0, count = random() % 20; i < count; ++i) {
    Entry entry{.term = 100, .index = message.index + 1 + i};
    if (random() % 8 == 0) {
      entry.type = random() % 2 == 0 ? EntryType::kConfChange : EntryType::kConfChangeV2;
      entry.data = encode({.changes = {{.peer = 3}}, .v1 = entry.type == EntryType::kConfChange});
    } else if (random() % 4 != 0) {
      entry.data = random_bytes(random, random() % (random() % 5 == 0 ? 40'000 : 300));
    }
    message.entries.push_back(std::move(entry));
  }
  return message;
}

TEST_CASE("messages come out of frames as they went in, in their order") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    std::vector<Message> messages;
    for (std::uint64_t i = 0, count = 1 + random() % 50; i < count; ++i) {
      messages.push_back(random_message(random));
    }
    std::size_t frames = 0;
    const auto read = sent_and_read(messages, &frames);
    REQUIRE(read.size() == messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) check_equal(messages[i], read[i]);
  }
}

TEST_CASE("many messages and large entries are divided among frames") {
  std::mt19937_64 random(1);
  std::size_t frames = 0;
  std::vector<Message> many(limits::kMaxRaftMessagesPerFrame + 1,
                            {.type = MessageType::kHeartbeat, .from = 7, .term = 1});
  CHECK(sent_and_read(many, &frames).size() == many.size());
  CHECK(frames == 2);
  std::vector<Message> large(3, {.type = MessageType::kAppend, .from = 7, .term = 1});
  for (Message& message : large) {
    message.entries = {{.term = 1, .index = 1, .data = random_bytes(random, 700'000)}};
  }
  CHECK(sent_and_read(large, &frames).size() == 3);
  CHECK(frames == 3);
  Message largest{.type = MessageType::kAppend, .from = 7, .term = 1};
  largest.entries = {
      {.term = 1, .index = 1, .data = random_bytes(random, limits::kMaxRaftEntryBytes)}};
  const auto read = sent_and_read({largest}, &frames);
  REQUIRE(read.size() == 1);
  check_equal(largest, read[0]);
}

TEST_CASE("entries keep nothing of the frame that brought them") {
  frame::FrameWriter writer;
  std::mt19937_64 random(1);
  Message append{.type = MessageType::kAppend, .from = 7, .term = 1};
  append.entries = {{.term = 1, .index = 1, .data = random_bytes(random, 100)}};
  const auto bytes = flat(messages_frames(writer, std::vector<Message>{append})[0]);
  const auto root = frame::verify_frame(bytes.span());
  REQUIRE(root.has_value());
  const auto read = read_messages(*(*root)->body_as_RaftMessages(), 7, 9);
  REQUIRE(read.has_value());
  CHECK(bytes.unique());
  CHECK((*read)[0].entries[0].data.charged_bytes() < 200);
}

// ---- Snapshots ----

Message snapshot_message(SharedBytes data) {
  Snapshot snapshot{.meta = {.index = 10, .term = 2, .conf = {.voters = {7, 9}}},
                    .data = std::move(data)};
  return {.type = MessageType::kSnapshot,
          .from = 7,
          .to = 9,
          .term = 3,
          .snapshot = std::make_shared<Snapshot>(std::move(snapshot))};
}

TEST_CASE("a snapshot comes together from its chunks, with a bounded part on the way") {
  std::mt19937_64 random(1);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kSnapshotChunkBytes,
                                 5 * kSnapshotChunkBytes + 17, std::size_t{3'000'000}}) {
    CAPTURE(size);
    const Message message = snapshot_message(random_bytes(random, size));
    SnapshotSender sender(1, message);
    SnapshotReceiver receiver(sender.head());
    std::uint64_t acknowledged = 0;
    while (!receiver.complete()) {
      std::vector<SnapshotSender::Chunk> chunks;
      while (auto chunk = sender.next()) chunks.push_back(std::move(*chunk));
      REQUIRE(!chunks.empty());
      for (const auto& chunk : chunks) {
        CHECK(chunk.offset + chunk.bytes.size() - acknowledged <= kSnapshotWindowBytes);
        REQUIRE(receiver.add(chunk.offset, chunk.bytes.span()));
      }
      acknowledged = receiver.received_bytes();
      CHECK(sender.acknowledged(acknowledged));
    }
    CHECK(!sender.next());
    const auto whole = receiver.finish(7, 9);
    REQUIRE(whole.has_value());
    CHECK(whole->term == 3);
    CHECK(whole->snapshot->meta == message.snapshot->meta);
    CHECK(std::ranges::equal(whole->snapshot->data.span(), message.snapshot->data.span()));
  }
}

TEST_CASE("a sender does not believe in what it has not sent, a head reserves nothing") {
  SnapshotSender sender(1, snapshot_message(SharedBytes::copy_of(std::vector<std::uint8_t>(10))));
  CHECK(!sender.acknowledged(10));
  REQUIRE(sender.next());
  CHECK(sender.acknowledged(10));
  CHECK(!sender.acknowledged(9));
  SnapshotReceiver receiver({.meta = {.index = 1, .term = 1}, .total_bytes = 1ull << 30});
  const std::uint8_t byte = 1;
  CHECK(receiver.add(0, {&byte, 1}));
  CHECK(!receiver.add(0, {&byte, 1}));
  CHECK(!receiver.add(1, {}));
}

}  // namespace
}  // namespace andyx::raft
