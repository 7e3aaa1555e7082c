#include <algorithm>
#include <array>
#include <csignal>
#include <latch>
#include <optional>
#include <thread>

#include "tests/net/net_fixture.h"

namespace andyx::net {

TEST_CASE("two loops share one port, a connection goes to one of them") {
  constexpr int kConnections = 64;
  const auto claim = claim_address({"127.0.0.1", 0}).value();
  const Address& address = claim.address();
  CHECK(address.port != 0);
  std::array<LoopThread, 2> loops;
  std::array<std::unique_ptr<Listener>, 2> listeners;
  std::array<std::vector<std::unique_ptr<Connection>>, 2> accepted;
  std::atomic<int> total{0};
  Slot<bool> all;
  for (int i = 0; i < 2; ++i) {
    loops[i].on([&, i] {
      listeners[i] = listen(loops[i].loop(), address, [&, i](auto c) {
                       accepted[i].push_back(std::move(c));
                       if (++total == kConnections) all.put(true);
                     }).value();
    });
  }
  LoopThread client;
  std::vector<std::unique_ptr<Connecting>> connecting;
  std::vector<std::unique_ptr<Connection>> connections;
  client.on([&] {
    for (int i = 0; i < kConnections; ++i) {
      connecting.push_back(connect(client.loop(), address, 30'000, [&](auto made) {
        REQUIRE(made.has_value());
        connections.push_back(std::move(*made));
      }));
    }
  });
  all.take();
  for (int i = 0; i < 2; ++i) CHECK(loops[i].on([&, i] { return accepted[i].size(); }) > 0);
  client.stop();
  for (auto& loop : loops) loop.stop();
}

TEST_CASE("a port that somebody listens on cannot be claimed, and is named") {
  LoopThread thread;
  std::unique_ptr<Listener> listener;
  const auto port = thread.on([&] {
    listener = listen(thread.loop(), {"127.0.0.1", 0}, [](auto) {}).value();
    return listener->port();
  });
  const auto second = claim_address({"127.0.0.1", port});
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kAddressInUse);
  CHECK(second.error().message.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
  thread.on([&] { listener.reset(); });
  thread.stop();
  CHECK(claim_address({"127.0.0.1", port}).has_value());
}

TEST_CASE("a claim keeps others away before anybody listens, and lets its owner's loops listen") {
  auto claim = claim_address({"127.0.0.1", 0});
  REQUIRE(claim.has_value());
  const Address address = claim->address();
  const auto second = claim_address(address);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kAddressInUse);
  CHECK_FALSE(claim_address({"0.0.0.0", address.port}).has_value());
  LoopThread thread;
  std::unique_ptr<Listener> listener;
  thread.on([&] { listener = listen(thread.loop(), address, [](auto) {}).value(); });
  CHECK_FALSE(claim_address(address).has_value());
  thread.on([&] { listener.reset(); });
  thread.stop();
  CHECK_FALSE(claim_address(address).has_value());  // it may listen again
  {
    const auto ended = std::move(claim);
  }
  CHECK(claim_address(address).has_value());
}

TEST_CASE("of many that claim one address at the same instant exactly one gets it") {
  const std::uint16_t port = claim_address({"127.0.0.1", 0})->address().port;
  for (int round = 0; round < 20; ++round) {
    std::latch start(4);
    std::array<std::optional<AddressClaim>, 4> claims;
    std::vector<std::thread> threads;
    for (auto& mine : claims) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        if (auto claim = claim_address({"127.0.0.1", port})) mine = std::move(*claim);
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(std::ranges::count_if(claims, [](const auto& c) { return c.has_value(); }) == 1);
  }
}

TEST_CASE("IPv6 works where the machine has it") {
  const auto address = claim_address({"::1", 0});
  if (!address.has_value()) return;
  LoopThread thread;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connecting> connecting;
  std::unique_ptr<Connection> accepted, connected;
  Slot<std::string> peer;
  thread.on([&] {
    listener =
        listen(thread.loop(), address->address(), [&](auto c) { accepted = std::move(c); }).value();
    connecting = connect(thread.loop(), address->address(), 30'000, [&](auto made) {
      REQUIRE(made.has_value());
      connected = std::move(*made);
      peer.put(connected->peer());
    });
  });
  CHECK(peer.take() == address->address().text());
  thread.stop();
}

TEST_CASE("an address of another machine is refused") {
  const auto foreign = claim_address({"192.0.2.1", 0});
  REQUIRE_FALSE(foreign.has_value());
  CHECK(foreign.error().code == ErrorCode::kBadArgument);
}

TEST_CASE("SIGTERM reaches the watch") {
  CHECK(prepare_process() > 0);
  LoopThread thread;
  Slot<int> caught;
  auto watch =
      thread.on([&] { return watch_termination(thread.loop(), [&](int s) { caught.put(s); }); });
  raise(SIGTERM);
  CHECK(caught.take() == SIGTERM);
  thread.on([&] { watch.reset(); });
}

}  // namespace andyx::net
