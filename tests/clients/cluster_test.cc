// A client and the nodes of a cluster: which one it asks, and where it goes from there.
#include <atomic>

#include "tests/clients/cluster_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeCluster;
using test::FakeServer;

bool lists(Client& client) { return client.admin().list_topics().has_value(); }

}  // namespace

TEST_CASE("several servers may be named in one text, and a wrong one is told") {
  FakeCluster cluster(2, 1);
  auto client = Client::connect({.servers = {nobody() + "," + cluster.servers()}});
  REQUIRE(client.has_value());
  CHECK(lists(*client));
  for (const std::string bad : {"", ",127.0.0.1:1", "127.0.0.1:1,", "127.0.0.1:1,x"}) {
    CAPTURE(bad);
    CHECK(Client::connect({.servers = {bad}}).error().code == ErrorCode::kBadArgument);
  }
}

TEST_CASE("a first server that hangs does not hold the connecting up") {
  FakeCluster cluster(2, 1);
  cluster.node(1).hang();
  // Hello alone would take the ping timeout, which is the whole time that there is.
  auto options = cluster_options(cluster);
  options.connect_timeout_ms = options.ping_timeout_ms = 60'000;
  const auto client = Client::connect(options);
  CHECK(client.has_value());
  cluster.node(1).wake();
}

TEST_CASE("any node takes over from the one that was asked: dead, hung, or stopping") {
  for (const std::string how : {"dead", "hung", "stopping"}) {
    CAPTURE(how);
    FakeCluster cluster(3, 1);
    auto options = cluster_options(cluster);
    options.servers = {cluster.node(1).address()};  // the others are learned
    auto client = Client::connect(options).value();
    // Until it has.
    while (!client.admin().lookup_offset("t", 0, Start::latest()).has_value())
      std::this_thread::yield();
    cluster.node(1).intercept([&](FakeServer::Session& session, const protocol::Frame& frame) {
      if (how != "stopping" || frame.body_type() == Body::Hello) return false;
      session.error(frame.correlation_id(), ErrorCode::kShuttingDown);
      return true;
    });
    if (how == "dead") cluster.node(1).stop_listening();
    if (how == "hung") cluster.node(1).hang();
    CHECK(lists(client));
    if (how == "hung") cluster.node(1).wake();
  }
}

TEST_CASE("what a silent node was asked, another one is asked too") {
  FakeCluster cluster(3, 3);
  auto client = Client::connect(doubting_options(cluster)).value();
  REQUIRE(client.admin().lookup_offset("t", 1, Start::latest())->offset == 2);
  cluster.node(2).hang();
  std::atomic<int> asked_1{0}, asked_3{0};
  const auto count = [&](NodeId node, std::atomic<int>& asked) {
    cluster.node(node).intercept([&asked](FakeServer::Session&, const protocol::Frame& frame) {
      asked += frame.body_type() == Body::LookupOffset;
      return false;
    });
  };
  count(1, asked_1);
  count(3, asked_3);
  std::thread waiter(
      [&] { CHECK(client.admin().lookup_offset("t", 1, Start::latest())->offset == 3); });
  while (asked_1 + asked_3 == 0) std::this_thread::yield();  // they point at the silent one
  cluster.move_main(1, 3);
  waiter.join();
  CHECK(cluster.world().on([&] { return cluster.node(2).lost_connections; }) == 0);
  // And the one that any question went to.
  cluster.node(2).wake();
  cluster.node(1).hang();
  CHECK(lists(client));
  CHECK(cluster.world().on([&] { return cluster.node(1).lost_connections; }) == 0);
  cluster.node(1).wake();
}

TEST_CASE("a request follows the node that a refusal names, also to one it did not know") {
  FakeCluster cluster(3, 3);
  auto options = cluster_options(cluster);
  options.servers = {cluster.node(1).address()};
  auto client = Client::connect(options).value();
  for (std::uint32_t partition = 0; partition < 3; ++partition)
    CHECK(client.admin().lookup_offset("t", partition, Start::latest())->offset == partition + 1);
  // Metadata of node 1 is old; node 3 knows better.
  cluster.move_main(2, 2, {1});
  CHECK(client.admin().lookup_offset("t", 2, Start::latest())->offset == 2);
}

TEST_CASE("the main of a partition dies: the request is answered by the next one") {
  FakeCluster cluster(3, 3);
  auto client = Client::connect(cluster_options(cluster)).value();
  REQUIRE(client.admin().lookup_offset("t", 1, Start::latest())->offset == 2);
  cluster.node(2).stop_listening();
  std::thread later([&] { cluster.move_main(1, 3); });
  CHECK(client.admin().lookup_offset("t", 1, Start::latest())->offset == 3);
  later.join();
}

TEST_CASE("two nodes that point at each other end with the request's time, and are not hammered") {
  FakeCluster cluster(2, 1);
  auto options = cluster_options(cluster);
  options.request_timeout_ms = 400;
  options.backoff_min_ms = 20;
  options.backoff_max_ms = 100;
  auto client = Client::connect(options).value();
  cluster.move_main(0, 0);  // nobody
  cluster.let_claim(1, 0, 2);
  cluster.let_claim(2, 0, 1);
  std::atomic<int> asked{0};
  for (const NodeId id : {1u, 2u}) {
    cluster.node(id).intercept([&](FakeServer::Session&, const protocol::Frame& frame) {
      asked += frame.body_type() == Body::LookupOffset;
      return false;
    });
  }
  const auto refused = client.admin().lookup_offset("t", 0, Start::latest());
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kTimedOut);
  CHECK(refused.error().message.find("not_main") != std::string::npos);
  CHECK(asked >= 3);
  CHECK(asked < 40);
}

TEST_CASE("the cluster of the first hello is the only one: another one is refused with both ids") {
  FakeCluster cluster(2, 1);
  FakeServer stranger;
  stranger.on([&] { stranger.cluster_id = "another-cluster"; });
  auto options = cluster_options(cluster);
  options.servers = {cluster.node(1).address(), stranger.address()};
  options.request_timeout_ms = 1'000;
  auto client = Client::connect(options).value();
  REQUIRE(lists(client));
  cluster.node(1).stop_listening();
  cluster.node(2).stop_listening();
  const auto refused = client.admin().list_topics();
  REQUIRE_FALSE(refused.has_value());
  CHECK(stranger.on([&] { return stranger.hellos; }) > 0);
  // The pinned id was asked for.
  const auto other =
      Client::connect({.servers = {stranger.address()}, .cluster_id = "fake-cluster"});
  REQUIRE_FALSE(other.has_value());
  CHECK(other.error().code == ErrorCode::kWrongCluster);
  CHECK(other.error().message.find("another-cluster") != std::string::npos);
  CHECK(other.error().message.find("fake-cluster") != std::string::npos);
}

TEST_CASE("who owes an answer and is silent, pings in vain, is lost; the request is sent again") {
  FakeServer server;
  auto client = Client::connect({.servers = {server.address()},
                                 .ping_timeout_ms = 200,
                                 .backoff_min_ms = 1,
                                 .backoff_max_ms = 20})
                    .value();
  std::atomic<int> asked{0};
  server.intercept([&](FakeServer::Session&, const protocol::Frame& frame) {
    if (frame.body_type() != Body::TopicList) return false;
    return asked++ == 0;  // the first is never answered
  });
  std::thread waiter([&] { CHECK(lists(client)); });
  while (asked == 0) std::this_thread::yield();
  server.hang();
  while (server.on([&] { return server.lost_connections; }) == 0) std::this_thread::yield();
  server.wake();
  waiter.join();
  CHECK(asked == 2);
}

TEST_CASE(
    "a request that takes longer than the ping timeout is waited for, as pings are answered") {
  FakeServer server;
  auto client = Client::connect({.servers = {server.address()}, .ping_timeout_ms = 1'000}).value();
  server.intercept([&, held = std::uint64_t{0}, until = 0u](FakeServer::Session& session,
                                                            const protocol::Frame& frame) mutable {
    if (frame.body_type() == Body::TopicList) {
      held = frame.correlation_id();
      until = server.pings + 6;  // four of them are the timeout
      return true;
    }
    if (held != 0 && server.pings + 1 >= until) session.done(std::exchange(held, 0));
    return false;
  });
  CHECK(client.admin().list_topics().error().code == ErrorCode::kInternal);  // Done is no list
  CHECK(server.on([&] { return server.hellos; }) == 1);
}

}  // namespace andyx::client
