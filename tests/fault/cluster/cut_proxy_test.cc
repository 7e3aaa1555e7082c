// The proxy between sockets of this process: bytes pass, wait, are late, or find the connection
// reset, for one direction of one pair at a time.
#include "tests/fault/cluster/cut_proxy.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/integration/support/raw_connection.h"
#include "tests/integration/support/server_process.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test::fault {
namespace {

using Flow = LinkState::Flow;
constexpr NodeId kBehind = 2, kDialer = 1;
constexpr Millis kSilence{150};  // long enough for anything that is on its way

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

  void send_text(std::string_view text) {
    REQUIRE(send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  // So many bytes, or fewer when they do not come.
  std::string receive(std::size_t size, Millis deadline = kGenerous) {
    std::string text;
    const auto end = Clock::now() + deadline;
    while (text.size() < size && Clock::now() < end) {
      const auto left = std::chrono::duration_cast<Millis>(end - Clock::now());
      pollfd entry{fd_, POLLIN, 0};
      if (poll(&entry, 1, static_cast<int>(left.count())) <= 0) break;
      char bytes[4096];
      const ssize_t n = recv(fd_, bytes, std::min(sizeof bytes, size - text.size()), 0);
      if (n <= 0) {
        ended_ = true;
        break;
      }
      text.append(bytes, static_cast<std::size_t>(n));
    }
    return text;
  }
  bool silent() { return receive(1, kSilence).empty() && !ended_; }
  bool ends() {
    receive(1);
    return ended_;
  }

 private:
  int fd_;
  bool ended_ = false;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::string bytes_of(const Bytes& frame) { return {frame.begin(), frame.end()}; }

std::string hello_of(NodeId node) {
  return bytes_of(make_frame<protocol::Hello>(1, [node](Builder& builder) {
    protocol::HelloBuilder hello(builder);
    hello.add_node_id(node);
    return hello.Finish();
  }));
}

std::string peer_hello_of(NodeId node) {
  return bytes_of(make_frame<protocol::PeerHello>(1, [node](Builder& builder) {
    protocol::PeerHelloBuilder hello(builder);
    hello.add_from(node);
    return hello.Finish();
  }));
}

// A node that listens, a proxy before it, and who dials it.
class Fixture {
 public:
  Fixture() : target_port_(free_port()), door_port_(free_port()) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(target_port_);
    REQUIRE(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener_, 8) == 0);
    auto started = CutProxy::start({{.node = kBehind,
                                     .listen = {"127.0.0.1", door_port_},
                                     .target = {"127.0.0.1", target_port_}}});
    REQUIRE_MESSAGE(started.has_value(), started.error().message);
    proxy_ = std::move(*started);
  }
  ~Fixture() { stop_listening(); }

  CutProxy& proxy() { return *proxy_; }
  void stop_listening() {
    if (listener_ >= 0) close(listener_);
    listener_ = -1;
  }
  Socket dial() {
    Socket socket_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(door_port_);
    REQUIRE(connect(socket_of.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    return socket_of;
  }
  bool nobody_comes() {
    pollfd entry{listener_, POLLIN, 0};
    return poll(&entry, 1, static_cast<int>(kSilence.count())) == 0;
  }
  Socket accepted() {
    const int fd = accept(listener_, nullptr, nullptr);
    REQUIRE(fd >= 0);
    return Socket(fd);
  }
  // A connection over which `hello` was said and heard.
  std::pair<Socket, Socket> connected(const std::string& hello) {
    Socket dialer = dial();
    dialer.send_text(hello);
    Socket target = accepted();
    REQUIRE(target.receive(hello.size()) == hello);
    return {std::move(dialer), std::move(target)};
  }

 private:
  std::uint16_t target_port_, door_port_;
  int listener_ = -1;
  std::unique_ptr<CutProxy> proxy_;
};

TEST_CASE("bytes pass both ways, and the end of a connection too") {
  Fixture fixture;
  auto [dialer, target] = fixture.connected(hello_of(kDialer));
  dialer.send_text("there");
  CHECK(target.receive(5) == "there");
  target.send_text("and back");
  CHECK(dialer.receive(8) == "and back");
  shutdown(dialer.fd(), SHUT_WR);
  CHECK(target.ends());
  target.send_text("last");
  CHECK(dialer.receive(4) == "last");
  shutdown(target.fd(), SHUT_WR);
  CHECK(dialer.ends());
}

TEST_CASE("a held direction is silent, keeps its bytes, and does not touch the other one") {
  Fixture fixture;
  for (const std::string& hello : {hello_of(kDialer), peer_hello_of(kDialer)}) {
    auto [dialer, target] = fixture.connected(hello);
    fixture.proxy().set(kDialer, kBehind, {.flow = Flow::kHeld});
    dialer.send_text("late");
    CHECK(target.silent());
    target.send_text("on time");
    CHECK(dialer.receive(7) == "on time");
    fixture.proxy().set(kDialer, kBehind, {});
    CHECK(target.receive(4) == "late");

    fixture.proxy().set(kBehind, kDialer, {.flow = Flow::kHeld});
    target.send_text("late too");
    CHECK(dialer.silent());
    dialer.send_text("on time");
    CHECK(target.receive(7) == "on time");
    fixture.proxy().heal();
    CHECK(dialer.receive(8) == "late too");
  }
}

TEST_CASE("a cut of one pair leaves others alone, clients among them") {
  Fixture fixture;
  fixture.proxy().set(kDialer, kBehind, {.flow = Flow::kHeld});
  auto [other, target] = fixture.connected(hello_of(3));
  other.send_text("passes");
  CHECK(target.receive(6) == "passes");
  auto [client, target_of_client] = fixture.connected(hello_of(kClients));
  client.send_text("passes");
  CHECK(target_of_client.receive(6) == "passes");
}

TEST_CASE("while a direction is held a new connection gets no answer and reaches nobody") {
  Fixture fixture;
  for (const auto& [from, to] : {std::pair(kDialer, kBehind), std::pair(kBehind, kDialer)}) {
    fixture.proxy().set(from, to, {.flow = Flow::kHeld});
    Socket dialer = fixture.dial();
    dialer.send_text(hello_of(kDialer));
    CHECK(fixture.nobody_comes());
    CHECK(dialer.silent());
    fixture.proxy().heal();
    Socket target = fixture.accepted();
    CHECK(target.receive(hello_of(kDialer).size()) == hello_of(kDialer));
  }
}

TEST_CASE("behind a cut nobody hears that the other side is gone") {
  Fixture fixture;
  auto [dialer, target] = fixture.connected(hello_of(kDialer));
  fixture.proxy().set(kBehind, kDialer, {.flow = Flow::kHeld});
  fixture.proxy().set(kDialer, kBehind, {.flow = Flow::kHeld});
  {
    const Socket gone = std::move(target);
  }
  CHECK(dialer.silent());
  fixture.proxy().heal();
  CHECK(dialer.ends());
}

TEST_CASE("a closed pair is reset, and so is whoever dials again") {
  Fixture fixture;
  auto [dialer, target] = fixture.connected(hello_of(kDialer));
  fixture.proxy().set(kDialer, kBehind, {.flow = Flow::kClosed});
  CHECK(dialer.ends());
  CHECK(target.ends());
  Socket again = fixture.dial();
  again.send_text(hello_of(kDialer));
  CHECK(again.ends());
  CHECK(fixture.nobody_comes());
}

TEST_CASE("a node that does not listen is told to who dials") {
  Fixture fixture;
  fixture.stop_listening();
  Socket dialer = fixture.dial();
  dialer.send_text(hello_of(kDialer));
  CHECK(dialer.ends());
}

TEST_CASE("a slow direction is late by its delay and its bytes for each second") {
  Fixture fixture;
  auto [dialer, target] = fixture.connected(hello_of(kDialer));
  fixture.proxy().set(kDialer, kBehind, {.delay_ms = 200});
  auto begun = Clock::now();
  dialer.send_text("late");
  CHECK(target.receive(4) == "late");
  CHECK(Clock::now() - begun >= Millis(199));  // the proxy counts whole milliseconds

  fixture.proxy().set(kDialer, kBehind, {.bytes_per_s = 1'000'000});
  const std::string much(400'000, 'x');
  begun = Clock::now();
  std::thread sender([&] { dialer.send_text(much); });
  CHECK(target.receive(much.size()) == much);
  sender.join();
  CHECK(Clock::now() - begun >= Millis(250));  // what the last read took needs not pass
}

TEST_CASE("a door can lead to another node") {
  Fixture fixture;
  fixture.proxy().set(kDialer, 4, {.flow = Flow::kHeld});
  fixture.proxy().renumber(kBehind, 4);
  Socket dialer = fixture.dial();
  dialer.send_text(hello_of(kDialer));
  CHECK(fixture.nobody_comes());
}

TEST_CASE("an address that is taken is told") {
  Fixture fixture;
  const std::uint16_t port = free_port();
  const CutProxy::Door door{
      .node = 1, .listen = {"127.0.0.1", port}, .target = {"127.0.0.1", port}};
  const auto first = CutProxy::start({door});
  REQUIRE(first.has_value());
  const auto second = CutProxy::start({door});
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kAddressInUse);
}

}  // namespace
}  // namespace andyx::test::fault
