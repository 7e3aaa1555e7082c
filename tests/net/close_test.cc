#include "tests/net/net_fixture.h"

namespace andyx::net {

TEST_CASE("close with linger delivers what was queued, and both ends learn of it once") {
  constexpr int kFrames = 64;
  Pair pair;
  int received = 0;
  pair.server.frame = [&](SharedBytes) { ++received; };
  pair.open();
  pair.client_loop.on([&] {
    for (int i = 0; i < kFrames; ++i) pair.client.connection->send(numbered_frame(i, 256 * 1024));
    pair.client.connection->close(30'000, Error{ErrorCode::kShuttingDown, "done"});
    CHECK(pair.client.closed_calls == 0);  // never from within close()
  });
  const auto at_server = pair.server.closed.take();
  CHECK(at_server.code == ErrorCode::kConnectionLost);
  CHECK(received == kFrames);
  const auto at_client = pair.client.closed.take();
  CHECK(at_client.code == ErrorCode::kShuttingDown);
  CHECK(at_client.message == "done");
  CHECK(pair.client_loop.on([&] { return pair.client.closed_calls; }) == 1);
  CHECK(pair.server_loop.on([&] { return pair.server.closed_calls; }) == 1);
}

TEST_CASE("the last word arrives although the peer is still sending") {
  Pair pair;
  Slot<std::uint64_t> last_word;
  pair.client.frame = [&](SharedBytes bytes) { last_word.put(number_of(bytes)); };
  pair.server.frame = [&](SharedBytes) {
    pair.server.connection->send(numbered_frame(4711, 64));
    pair.server.connection->close(30'000, Error{ErrorCode::kBadFrame, "enough"});
  };
  pair.open();
  pair.client_loop.on([&] {
    for (int i = 0; i < 16; ++i) pair.client.connection->send(numbered_frame(i, 1024 * 1024));
  });
  CHECK(last_word.take() == 4711);
  CHECK(pair.client.closed.take().code == ErrorCode::kConnectionLost);
  CHECK(pair.server.closed.take().code == ErrorCode::kBadFrame);
}

TEST_CASE("linger ends when the peer reads nothing") {
  Pair pair;
  pair.open();
  pair.server_loop.on([&] { pair.server.connection->pause_reading(); });
  pair.client_loop.on([&] {
    for (int i = 0; i < 64; ++i) pair.client.connection->send(numbered_frame(i, 256 * 1024));
    pair.client.connection->close(50, Error{ErrorCode::kIdleTimeout, "gone"});
  });
  CHECK(pair.client.closed.take().code == ErrorCode::kIdleTimeout);
}

TEST_CASE("a length over the limit closes, after the last word of the handler") {
  Pair pair;
  Slot<std::uint64_t> last_word;
  pair.client.frame = [&](SharedBytes bytes) { last_word.put(number_of(bytes)); };
  pair.server.stream_error = [&](const Error&) {
    pair.server.connection->send(numbered_frame(99, 64));
  };
  pair.open();
  pair.client_loop.on([&] {
    auto bytes = SharedBytes::allocate(16);
    std::memset(bytes.mutable_data(), 0xff, 16);
    pair.client.connection->send({.head = std::move(bytes), .payload = {}});
  });
  CHECK(last_word.take() == 99);
  CHECK(pair.server.closed.take().code == ErrorCode::kFrameTooLarge);
  CHECK(pair.client.closed.take().code == ErrorCode::kConnectionLost);
}

TEST_CASE("no frame is handed out after close, on_closed comes once") {
  Pair pair;
  int frames = 0;
  pair.server.frame = [&](SharedBytes) {
    ++frames;
    pair.server.connection->close(0, Error{ErrorCode::kBadFrame, "first"});
    pair.server.connection->close(0, Error{ErrorCode::kInternal, "second"});
  };
  pair.open();
  pair.client_loop.on([&] {
    for (int i = 0; i < 10; ++i) pair.client.connection->send(numbered_frame(i, 64));
  });
  CHECK(pair.server.closed.take().message == "first");
  pair.client.closed.take();
  CHECK(pair.server_loop.on([&] { return frames; }) == 1);
  CHECK(pair.server_loop.on([&] { return pair.server.closed_calls; }) == 1);
}

TEST_CASE("the owner may drop a connection inside of on_frame and of on_closed") {
  Pair pair;
  pair.server.frame = [&](SharedBytes) { pair.server.connection.reset(); };
  pair.client.closing = [&] { pair.client.connection.reset(); };
  pair.open();
  pair.client_loop.on([&] {
    for (int i = 0; i < 10; ++i) pair.client.connection->send(numbered_frame(i, 64));
  });
  CHECK(pair.client.closed.take().code == ErrorCode::kConnectionLost);
  // Dropped, not closed: its owner is not told.
  CHECK(pair.server_loop.on([&] { return pair.server.closed_calls; }) == 0);
}

TEST_CASE("a stopping loop closes its connections and tells their handlers") {
  Pair pair;
  pair.open();
  pair.server_loop.stop();
  CHECK(pair.server.closed.take().code == ErrorCode::kShuttingDown);
  CHECK(pair.client.closed.take().code == ErrorCode::kConnectionLost);
}

}  // namespace andyx::net
