#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "tests/net/net_fixture.h"

namespace andyx::net {
namespace {

// A socket without a loop: it does only what it is told, and blocks.
class RawSocket {
 public:
  explicit RawSocket(int fd) : fd_(fd) { REQUIRE(fd_ >= 0); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;
  ~RawSocket() { close(); }

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
  }
  int fd() const { return fd_; }
  void write(const frame::OutFrame& frame) {
    const auto size = static_cast<ssize_t>(frame.head.size());
    REQUIRE(::send(fd_, frame.head.data(), frame.head.size(), 0) == size);
  }
  std::size_t read_to_the_end() {
    std::vector<char> bytes(64 * 1024);
    std::size_t all = 0;
    for (ssize_t got; (got = ::read(fd_, bytes.data(), bytes.size())) > 0;) {
      all += static_cast<std::size_t>(got);
    }
    return all;
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

}  // namespace

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

TEST_CASE("the last word of a peer that has reset the connection is still read") {
  bool pauses = false;
  SUBCASE("by one that reads on") {}
  SUBCASE("but not by one that pauses, which is closed at once") { pauses = true; }
  RawSocket listener(::socket(AF_INET, SOCK_STREAM, 0));
  auto at = RawSocket::loopback(0);
  socklen_t length = sizeof at;
  REQUIRE(::bind(listener.fd(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(listener.fd(), 1) == 0);
  REQUIRE(::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&at), &length) == 0);

  Slot<std::uint64_t> last_word;
  Slot<bool> connected;
  End client;
  std::unique_ptr<Connecting> connecting;
  client.frame = [&](SharedBytes bytes) { last_word.put(number_of(bytes)); };
  LoopThread loop;
  loop.on([&] {
    connecting = connect(loop.loop(), {"127.0.0.1", ntohs(at.sin_port)}, 10'000, [&](auto made) {
      REQUIRE(made.has_value());
      client.own(std::move(*made));
      client.connection->send(numbered_frame(1, 64));
      connected.put(true);
    });
  });
  connected.take();
  RawSocket server(::accept(listener.fd(), nullptr, nullptr));
  char unread;
  REQUIRE(::recv(server.fd(), &unread, 1, MSG_PEEK) == 1);
  loop.on([&] {
    // With bytes unread it closes by a reset. Frames of such a size are written at once.
    server.write(numbered_frame(4711, 64));
    server.close();
    for (int i = 0; i < 3; ++i) client.connection->send(numbered_frame(2, 256 * 1024));
    if (pauses) client.connection->pause_reading();
  });
  CHECK(client.closed.take().code == ErrorCode::kConnectionLost);
  REQUIRE(last_word.empty() == pauses);
  if (!pauses) CHECK(last_word.take() == 4711);
  loop.stop();
}

TEST_CASE("a peer that has said all still gets the whole last word") {
  constexpr std::size_t kLastWordBytes = 8 * limits::kMiB;  // more than the sockets take
  LoopThread loop;
  End server;
  std::unique_ptr<Listener> listener;
  Slot<bool> accepted;
  server.frame = [&](SharedBytes) {
    server.connection->send(numbered_frame(4711, kLastWordBytes));
    server.connection->close(30'000, Error{ErrorCode::kBadFrame, "enough"});
  };
  const auto port = loop.on([&] {
    listener = listen(loop.loop(), {"127.0.0.1", 0}, [&](std::unique_ptr<Connection> made) {
                 server.own(std::move(made));
                 accepted.put(true);
               }).value();
    return listener->port();
  });
  RawSocket client(::socket(AF_INET, SOCK_STREAM, 0));
  const int small = 64 * 1024;
  REQUIRE(::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  const auto at = RawSocket::loopback(port);
  REQUIRE(::connect(client.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  client.write(numbered_frame(1, 64));
  REQUIRE(::shutdown(client.fd(), SHUT_WR) == 0);
  accepted.take();
  // Turns of the loop: it has seen the end before anything is read here.
  for (int turn = 0; turn < 20; ++turn) loop.on([] {});
  CHECK(client.read_to_the_end() == kLastWordBytes);
  CHECK(server.closed.take().code == ErrorCode::kBadFrame);
  loop.on([&] { listener.reset(); });
  loop.stop();
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
