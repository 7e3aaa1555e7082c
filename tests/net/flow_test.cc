#include "tests/net/net_fixture.h"

namespace andyx::net {

TEST_CASE("a peer that stops reading: the sender is told at the bound, and told again to go on") {
  constexpr std::size_t kFrame = 256 * limits::kKiB;
  Pair pair;
  std::uint64_t sent = 0, received = 0;
  std::size_t most_queued = 0;
  Slot<std::uint64_t> full, writable;
  Slot<bool> all;
  std::atomic<std::uint64_t> expected{~0ull};
  pair.server.frame = [&](SharedBytes bytes) {
    if (number_of(bytes) == received) ++received;
    if (received == expected) all.put(true);
  };
  pair.client.writable = [&] { writable.put(pair.client.connection->queued_bytes()); };
  pair.open();
  pair.server_loop.on([&] { pair.server.connection->pause_reading(); });
  pair.client_loop.on([&] {
    while (pair.client.connection->send(numbered_frame(sent++, kFrame))) {
      most_queued = std::max(most_queued, pair.client.connection->queued_bytes());
    }
  });
  CHECK(most_queued <= limits::kMaxQueuedSendBytesPerConnection);
  CHECK(most_queued + 2 * kFrame > limits::kMaxQueuedSendBytesPerConnection);
  expected = sent;
  CHECK(writable.empty());
  pair.server_loop.on([&] { pair.server.connection->resume_reading(); });
  CHECK(writable.take() < limits::kMaxQueuedSendBytesPerConnection / 2);
  all.take();
  CHECK(pair.client_loop.on([&] { return pair.client.connection->queued_bytes(); }) == 0);
}

TEST_CASE("a paused connection keeps what has arrived and hands it out after resume") {
  Pair pair;
  std::vector<std::uint64_t> got;
  Slot<std::size_t> paused, all;
  pair.server.frame = [&](SharedBytes bytes) {
    got.push_back(number_of(bytes));
    if (got.size() == 3) {
      pair.server.connection->pause_reading();
      paused.put(got.size());
    }
    if (got.size() == 20) all.put(got.size());
  };
  pair.open();
  pair.client_loop.on([&] {
    for (int i = 0; i < 10; ++i) pair.client.connection->send(numbered_frame(i, 64));
  });
  paused.take();
  pair.client_loop.on([&] {
    for (int i = 10; i < 20; ++i) pair.client.connection->send(numbered_frame(i, 64));
  });
  // A round trip through both loops: had anything been handed out, it would be there.
  pair.server_loop.on([] {});
  CHECK(pair.server_loop.on([&] { return got.size(); }) == 3);
  pair.server_loop.on([&] { pair.server.connection->resume_reading(); });
  all.take();
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == i);
}

TEST_CASE("pausing and resuming inside of on_frame does not stop the stream") {
  Pair pair;
  int got = 0;
  Slot<bool> all;
  pair.server.frame = [&](SharedBytes) {
    pair.server.connection->pause_reading();
    pair.server.connection->resume_reading();
    if (++got == 2'000) all.put(true);
  };
  pair.open();
  for (int turn = 0; turn < 20; ++turn) {
    pair.client_loop.on([&] {
      for (int i = 0; i < 100; ++i) pair.client.connection->send(numbered_frame(i, 4'096));
    });
  }
  all.take();
}

}  // namespace andyx::net
