// A connection that goes from loop to loop while its peer sends on.
#include <array>

#include "tests/net/net_fixture.h"

namespace andyx::net {
namespace {

// Echoes; after every `kMoveAfter` frames the connection goes to the other of two loops.
struct Wanderer {
  static constexpr int kMoveAfter = 7;

  std::array<LoopThread, 2> loops;
  std::array<End, 2> ends;
  std::unique_ptr<Listener> listener;
  std::uint64_t received = 0;  // on whichever loop it is: one at a time
  int moves = 0;
  bool damaged = false;

  Wanderer() {
    for (std::size_t i = 0; i < 2; ++i) {
      ends[i].frame = [this, i](SharedBytes bytes) { on_frame(i, std::move(bytes)); };
    }
  }

  void on_frame(std::size_t i, SharedBytes bytes) {
    damaged |= number_of(bytes) != received || !is_intact(bytes);
    ++received;
    ends[i].connection->send({.head = std::move(bytes), .payload = {}});
    if (received % kMoveAfter != 0) return;
    ends[i].connection->pause_reading();
    loops[i].loop().at_end_of_turn([this, i] { move(i); });
  }

  void move(std::size_t from) {
    auto loose = ends[from].connection->let_go();
    if (!loose) return ends[from].connection->resume_reading();  // echoes wait to be sent
    ends[from].connection.reset();
    ++moves;
    auto shared = std::make_shared<LooseConnection>(std::move(*loose));
    const std::size_t to = 1 - from;
    loops[to].loop().post([this, to, shared] {
      ends[to].own(take_over(loops[to].loop(), std::move(*shared)).value());
    });
  }

  std::uint16_t open() {
    return loops[0].on([this] {
      listener = listen(loops[0].loop(), {"127.0.0.1", 0}, [this](auto made) {
                   ends[0].own(std::move(made));
                 }).value();
      return listener->port();
    });
  }
  void stop() {
    for (LoopThread& loop : loops) loop.stop();
  }
};

}  // namespace

TEST_CASE("a connection goes from loop to loop, and no frame is lost, doubled or out of order") {
  const auto seed = std::random_device{}();
  MESSAGE("seed ", seed);
  constexpr std::uint64_t kFrames = 3'000;
  Wanderer server;
  LoopThread client_loop;
  End client;
  std::uint64_t echoed = 0;
  bool wrong_echo = false;
  Slot<bool> done;
  client.frame = [&](SharedBytes bytes) {
    wrong_echo |= number_of(bytes) != echoed || !is_intact(bytes);
    if (++echoed == kFrames) done.put(true);
  };
  std::unique_ptr<Connecting> connecting;
  const std::uint16_t port = server.open();
  client_loop.on([&] {
    connecting = connect(client_loop.loop(), {"127.0.0.1", port}, 10'000, [&](auto made) {
      client.own(std::move(made.value()));
      std::mt19937_64 random(seed);
      // All at once: whenever it moves, more has arrived than was handed out.
      for (std::uint64_t i = 0; i < kFrames; ++i) {
        client.connection->send(numbered_frame(i, 16 + 8 * (random() % 600)));
      }
    });
  });
  done.take();
  CHECK(client_loop.on([&] { return client.closed_calls; }) == 0);
  client_loop.stop();
  server.stop();
  CHECK_FALSE(server.damaged);
  CHECK_FALSE(wrong_echo);
  CHECK(server.received == kFrames);
  CHECK(server.moves > 10);
}

TEST_CASE("a connection that nobody takes over is closed") {
  Pair pair;
  pair.open();
  pair.server_loop.on([&] {
    {
      const auto loose = pair.server.connection->let_go();
      CHECK(loose.has_value());
    }
    pair.server.connection.reset();
  });
  CHECK(pair.client.closed.take().code == ErrorCode::kConnectionLost);
  CHECK(pair.server.closed_calls == 0);
}

TEST_CASE("while frames wait to be sent, or it closes, it stays where it is") {
  Pair pair;
  pair.open();
  pair.server_loop.on([&] {
    pair.server.connection->send(numbered_frame(1, 64));
    CHECK_FALSE(pair.server.connection->let_go().has_value());
    pair.server.connection->close(1'000, {ErrorCode::kShuttingDown, "enough"});
    CHECK_FALSE(pair.server.connection->let_go().has_value());
  });
  CHECK(pair.client.closed.take().code == ErrorCode::kConnectionLost);
}

}  // namespace andyx::net
