#include "tests/net/net_fixture.h"

namespace andyx::net {
namespace {

// A frame as FrameWriter makes it for a batch: head, payload slices, padding.
frame::OutFrame in_pieces(std::uint64_t number, std::size_t size, std::mt19937_64& random) {
  auto whole = numbered_frame(number, size).head;
  frame::OutFrame out;
  std::size_t at = 16 + random() % (size - 15);
  out.head = whole.slice(0, at);
  while (at < size) {
    const auto piece = std::min<std::size_t>(size - at, 1 + random() % (size / 2 + 1));
    out.payload.push_back(whole.slice(at, piece));
    at += piece;
  }
  return out;
}

std::size_t random_size(std::mt19937_64& random, int i) {
  if (i % 200 == 199) return limits::kMaxMessageBytes;
  const std::size_t scale = std::size_t{1} << (random() % 17);
  return 16 + 8 * (random() % (scale + 1));
}

}  // namespace

TEST_CASE("many frames of all sizes pass in both directions at once, whole and in order") {
  const auto seed = std::random_device{}();
  MESSAGE("seed ", seed);
  constexpr int kFrames = 1'000;
  Pair pair;
  std::uint64_t at_server = 0, at_client = 0;
  bool damaged = false;
  Slot<bool> server_done, client_done;
  pair.server.frame = [&](SharedBytes bytes) {
    damaged |= number_of(bytes) != at_server || !is_intact(bytes);
    // Sent back as it came: a slice of the receive slab.
    pair.server.connection->send({.head = std::move(bytes), .payload = {}});
    if (++at_server == kFrames) server_done.put(true);
  };
  bool wrong_echo = false;
  pair.client.frame = [&](SharedBytes bytes) {
    wrong_echo |= number_of(bytes) != at_client || !is_intact(bytes);
    if (++at_client == kFrames) client_done.put(true);
  };
  std::mt19937_64 random(seed);
  int next = 0;
  std::function<void()> pump = [&] {
    while (next < kFrames) {
      const int i = next++;
      if (!pair.client.connection->send(in_pieces(i, random_size(random, i), random))) return;
    }
  };
  pair.client.writable = [&] { pump(); };
  pair.open();
  pair.client_loop.on([&] { pump(); });
  server_done.take();
  client_done.take();
  CHECK_FALSE(damaged);
  CHECK_FALSE(wrong_echo);
}

TEST_CASE("zero padding is sent") {
  Pair pair;
  Slot<SharedBytes> got;
  pair.server.frame = [&](SharedBytes bytes) { got.put(std::move(bytes)); };
  pair.open();
  pair.client_loop.on([&] {
    auto frame = numbered_frame(7, 32);
    frame.head = frame.head.slice(0, 27);
    frame.padding = 5;
    pair.client.connection->send(std::move(frame));
  });
  const auto bytes = got.take();
  REQUIRE(bytes.size() == 32);
  CHECK(bytes.data()[26] == 7);
  for (int i = 27; i < 32; ++i) CHECK(bytes.data()[i] == 0);
}

TEST_CASE("frames of one turn share a read, and the end of the read is told") {
  Pair pair;
  int frames = 0, ends = 0;
  Slot<int> ends_when_all;
  pair.server.frame = [&](SharedBytes) { ++frames; };
  pair.server.read_end = [&] {
    ++ends;
    if (frames == 100) ends_when_all.put(ends);
  };
  pair.open();
  pair.client_loop.on([&] {
    for (int i = 0; i < 100; ++i) pair.client.connection->send(numbered_frame(i, 64));
  });
  // One writev of 6,400 bytes: a few reads at most, never one for each frame.
  CHECK(ends_when_all.take() < 50);
}

}  // namespace andyx::net
