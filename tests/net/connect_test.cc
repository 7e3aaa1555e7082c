#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/net/net_fixture.h"

namespace andyx::net {
namespace {

using Outcome = Result<std::unique_ptr<Connection>>;

// Listens and never accepts; its backlog of one is filled, so that connecting hangs.
class DeafServer {
 public:
  DeafServer() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd_, 0) == 0);
    socklen_t length = sizeof at;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &length);
    port_ = ntohs(at.sin_port);
    for (int i = 0; i < 8; ++i) {
      const int filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      static_cast<void>(::connect(filler, reinterpret_cast<sockaddr*>(&at), sizeof at));
      fillers_.push_back(filler);
    }
  }
  ~DeafServer() {
    for (const int filler : fillers_) ::close(filler);
    ::close(fd_);
  }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
  std::vector<int> fillers_;
};

}  // namespace

TEST_CASE("nobody listens: kUnreachable, with the address") {
  LoopThread thread;
  const auto claim = claim_address({"127.0.0.1", 0}).value();
  const Address& free = claim.address();
  Slot<Error> failed;
  std::unique_ptr<Connecting> connecting;
  thread.on([&] {
    connecting = connect(thread.loop(), free, 10'000, [&](Outcome made) {
      failed.put(made.has_value() ? Error{} : made.error());
      connecting.reset();  // from within
    });
  });
  const auto error = failed.take();
  CHECK(error.code == ErrorCode::kUnreachable);
  CHECK(error.message.find(free.text()) != std::string::npos);
  thread.stop();
}

TEST_CASE("a host that does not exist: kUnreachable") {
  LoopThread thread;
  Slot<Error> failed;
  std::unique_ptr<Connecting> connecting;
  thread.on([&] {
    connecting = connect(thread.loop(), {"no-such-host.invalid", 1}, 30'000, [&](Outcome made) {
      failed.put(made.has_value() ? Error{} : made.error());
    });
  });
  const auto code = failed.take().code;
  CHECK((code == ErrorCode::kUnreachable || code == ErrorCode::kTimedOut));
  thread.stop();
}

TEST_CASE("nobody answers: kTimedOut") {
  DeafServer deaf;
  LoopThread thread;
  Slot<Error> failed;
  std::unique_ptr<Connecting> connecting;
  thread.on([&] {
    connecting = connect(thread.loop(), {"127.0.0.1", deaf.port()}, 50, [&](Outcome made) {
      failed.put(made.has_value() ? Error{} : made.error());
    });
  });
  CHECK(failed.take().code == ErrorCode::kTimedOut);
  thread.stop();
}

TEST_CASE("destroying the handle cancels: nothing is called") {
  DeafServer deaf;
  LoopThread thread;
  int calls = 0;
  thread.on([&] {
    for (const char* host : {"127.0.0.1", "localhost"}) {
      auto connecting = connect(thread.loop(), {host, deaf.port()}, 20, [&](Outcome) { ++calls; });
      connecting.reset();
    }
  });
  Slot<bool> later;
  std::unique_ptr<Loop::Timer> timer;
  thread.on([&] {
    timer = thread.loop().timer();
    timer->start(60, 0, [&] { later.put(true); });
  });
  later.take();
  CHECK(thread.on([&] { return calls; }) == 0);
  thread.stop();
}

TEST_CASE("a loop may stop while connecting") {
  DeafServer deaf;
  LoopThread thread;
  std::unique_ptr<Connecting> connecting;
  int calls = 0;
  thread.on([&] {
    connecting =
        connect(thread.loop(), {"127.0.0.1", deaf.port()}, 60'000, [&](Outcome) { ++calls; });
  });
  thread.stop();
  CHECK(calls == 0);
}

TEST_CASE("a name is resolved, and each of its addresses tried") {
  LoopThread thread;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connection> accepted, connected;
  Slot<bool> done;
  const auto port = thread.on([&] {
    listener =
        listen(thread.loop(), {"127.0.0.1", 0}, [&](auto c) { accepted = std::move(c); }).value();
    return listener->port();
  });
  std::unique_ptr<Connecting> connecting;
  thread.on([&] {
    connecting = connect(thread.loop(), {"localhost", port}, 30'000, [&](Outcome made) {
      REQUIRE(made.has_value());
      connected = std::move(*made);
      done.put(true);
    });
  });
  done.take();
  thread.on([&] { CHECK(connected->peer() == "127.0.0.1:" + std::to_string(port)); });
  thread.stop();
}

}  // namespace andyx::net
