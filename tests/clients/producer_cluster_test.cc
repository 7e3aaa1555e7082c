// Producers over a cluster whose mains move, die and hang: everything once, in order.
#include <atomic>
#include <chrono>
#include <random>
#include <set>

#include "tests/clients/cluster_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeCluster;
using test::FakeServer;

// Payloads are numbers in the order of sending.
void check_once_in_order(FakeCluster& cluster, std::uint32_t partitions, int messages) {
  std::set<int> all;
  int total = 0;
  for (std::uint32_t i = 0; i < partitions; ++i) {
    int last = -1;
    bool rising = true;
    for (const auto& payload : cluster.payloads(i)) {
      const int number = std::stoi(payload);
      rising &= number > last;
      last = number;
      all.insert(number);
      ++total;
    }
    CAPTURE(i);
    CHECK(rising);
  }
  CHECK(total == messages);
  CHECK(static_cast<int>(all.size()) == messages);
}

void count_produces(FakeServer& node, std::atomic<int>& count) {
  node.intercept([&](FakeServer::Session&, const protocol::Frame& frame) {
    count += frame.body_type() == Body::Produce;
    return false;
  });
}

}  // namespace

TEST_CASE("mains that move, die and hang: each message is stored once, in order") {
  const auto seed = std::random_device{}();
  MESSAGE("seed ", seed);
  std::mt19937 random(seed);
  constexpr int kRounds = 30;
  constexpr int kEach = 60;
  constexpr std::uint32_t kNodes = 3, kPartitions = 4;
  FakeCluster cluster(kNodes, kPartitions);
  auto client = Client::connect(cluster_options(cluster)).value();
  auto producer = client
                      .producer({.topic = "t",
                                 .acks = Acks::kQuorum,
                                 .linger_ms = 0,
                                 .batch_bytes = 300,
                                 .delivery_timeout_ms = 120'000})
                      .value();
  std::atomic<int> failed{0};
  int sent = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto victim = static_cast<NodeId>(random() % kNodes + 1);
    const auto other = static_cast<NodeId>(victim % kNodes + 1);
    const auto partition = static_cast<std::uint32_t>(random() % kPartitions);
    const auto fault = random() % 4;
    if (fault == 0) cluster.node(victim).stop_listening();
    if (fault == 1) cluster.node(victim).hang();
    if (fault == 2) cluster.node(victim).drop_connections();
    for (int i = 0; i < kEach; ++i, ++sent) {
      const auto text = std::to_string(sent);
      REQUIRE(producer.send({.payload = text},
                            [&](const SendOutcome& outcome) { failed += !outcome.has_value(); }));
      // Some do not hear of it; they hear of the next change.
      if (i == kEach / 2)
        cluster.move_main(partition, other, {static_cast<NodeId>(random() % kNodes + 1)});
    }
    if (fault == 0) cluster.node(victim).listen_again();
    if (fault == 1) cluster.node(victim).wake();
  }
  for (std::uint32_t i = 0; i < kPartitions; ++i) cluster.move_main(i, i % kNodes + 1);
  REQUIRE(producer.flush());
  CHECK(failed == 0);
  check_once_in_order(cluster, kPartitions, sent);
}

TEST_CASE("the main hangs: what it was sent goes to the next one, as the same bytes") {
  FakeCluster cluster(2, 1);
  auto client = Client::connect(cluster_options(cluster)).value();
  auto producer = client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 1}).value();
  REQUIRE(producer.send_and_wait({.payload = "0"}).has_value());
  cluster.node(1).hang();
  for (int i = 1; i < 8; ++i) {
    const auto text = std::to_string(i);
    REQUIRE(producer.send({.payload = text}));
  }
  cluster.move_main(0, 2);
  REQUIRE(producer.flush());
  CHECK(producer.stats().batches_resent > 0);
  cluster.node(1).wake();  // and what it still has to read is refused, not stored
  check_once_in_order(cluster, 1, 8);
  CHECK(cluster.world().on([&] { return cluster.world().producers_opened; }) == 1);
}

TEST_CASE("a main that hangs and has been replaced is left before its connection is given up") {
  for (const NodeId main : {1u, 2u}) {  // the one that is asked for metadata, and another
    CAPTURE(main);
    FakeCluster cluster(3, 1);
    cluster.move_main(0, main);
    auto client = Client::connect(doubting_options(cluster)).value();
    auto producer = client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 1}).value();
    REQUIRE(producer.send_and_wait({.payload = "0"}).has_value());
    cluster.node(main).hang();
    for (int i = 1; i < 8; ++i) {
      const auto text = std::to_string(i);
      REQUIRE(producer.send({.payload = text}));
    }
    cluster.move_main(0, 3);
    REQUIRE(producer.flush());
    CHECK(cluster.world().on([&] { return cluster.node(main).lost_connections; }) == 0);
    cluster.node(main).wake();  // and what it still has to read is refused, not stored
    check_once_in_order(cluster, 1, 8);
  }
}

TEST_CASE("a main that hangs and has not been replaced keeps what it was sent") {
  FakeCluster cluster(3, 1);
  auto client = Client::connect(doubting_options(cluster)).value();
  auto producer = client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 1}).value();
  REQUIRE(producer.send_and_wait({.payload = "0"}).has_value());
  cluster.node(1).hang();
  for (int i = 1; i < 8; ++i) {
    const auto text = std::to_string(i);
    REQUIRE(producer.send({.payload = text}));
  }
  // Until others have been asked, more than once.
  const auto asked = [&] {
    return cluster.world().on(
        [&] { return cluster.node(2).metadata_requests + cluster.node(3).metadata_requests; });
  };
  while (asked() < 5) std::this_thread::yield();
  cluster.node(1).wake();
  REQUIRE(producer.flush());
  CHECK(producer.stats().batches_resent == 0);
  CHECK(cluster.world().on([&] { return cluster.node(1).lost_connections; }) == 0);
  check_once_in_order(cluster, 1, 8);
}

TEST_CASE("a main that is heard and stores nothing any more is left for the one that others name") {
  FakeCluster cluster(3, 1);
  auto client = Client::connect(doubting_options(cluster)).value();
  auto producer = client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 1}).value();
  REQUIRE(producer.send_and_wait({.payload = "0"}).has_value());
  // As one that is cut off from its replicas and the controller.
  cluster.node(1).intercept([&](FakeServer::Session&, const protocol::Frame& frame) {
    return frame.body_type() == Body::Produce;
  });
  for (int i = 1; i < 8; ++i) {
    const auto text = std::to_string(i);
    REQUIRE(producer.send({.payload = text}));
  }
  cluster.move_main(0, 2, {1});
  REQUIRE(producer.flush());
  CHECK(cluster.world().on([&] { return cluster.node(1).lost_connections; }) == 0);
  check_once_in_order(cluster, 1, 8);
}

TEST_CASE("a redirect is followed although the asked metadata is old, and there is no way back") {
  FakeCluster cluster(2, 1);
  auto options = cluster_options(cluster);
  options.servers = {cluster.node(1).address()};
  auto client = Client::connect(options).value();
  auto producer = client.producer({.topic = "t", .linger_ms = 0}).value();
  REQUIRE(producer.send_and_wait({.payload = "0"}).has_value());
  std::atomic<int> at_old{0};
  count_produces(cluster.node(1), at_old);
  cluster.move_main(0, 2, {1});
  cluster.world().on([&] { cluster.node(1).view.mains[0] = 2; });  // in its old epoch
  REQUIRE(producer.send_and_wait({.payload = "1"}).has_value());
  CHECK(at_old == 1);
  // Now it says again that it is the main, in metadata too.
  cluster.let_claim(1, 0, 1);
  const auto asked = [&] {
    return cluster.world().on([&] { return cluster.node(1).metadata_requests; });
  };
  const auto before = asked();
  int sent = 2;
  while (asked() < before + 2) {
    const auto text = std::to_string(sent++);
    REQUIRE(producer.send_and_wait({.payload = text}).has_value());
  }
  CHECK(at_old == 1);
  check_once_in_order(cluster, 1, sent);
}

TEST_CASE("many partitions that move together cost a few questions") {
  constexpr std::uint32_t kPartitions = 100;
  FakeCluster cluster(2, kPartitions);
  auto client = Client::connect(cluster_options(cluster)).value();
  auto producer = client.producer({.topic = "t"}).value();
  for (std::uint32_t i = 0; i < kPartitions; ++i)
    REQUIRE(producer.send({.payload = "0", .partition = i}));
  REQUIRE(producer.flush());
  const auto asked = [&] {
    return cluster.world().on(
        [&] { return cluster.node(1).metadata_requests + cluster.node(2).metadata_requests; });
  };
  const auto before = asked();
  for (std::uint32_t i = 0; i < kPartitions; i += 2) cluster.move_main(i, 2);
  for (std::uint32_t i = 0; i < kPartitions; ++i)
    REQUIRE(producer.send({.payload = "1", .partition = i}));
  REQUIRE(producer.flush());
  CHECK(asked() - before < kPartitions / 4);
  for (std::uint32_t i = 0; i < kPartitions; ++i)
    CHECK(cluster.payloads(i) == std::vector<std::string>{"0", "1"});
}

TEST_CASE("one main that is away does not hold the unkeyed messages of the other partitions up") {
  FakeCluster cluster(2, 2);
  auto options = cluster_options(cluster);
  options.ping_timeout_ms = 60'000;  // it is not even noticed
  auto client = Client::connect(options).value();
  auto producer = client
                      .producer({.topic = "t",
                                 .batch_bytes = 1'000,
                                 .buffer_bytes = 40'000,
                                 .delivery_timeout_ms = 120'000})
                      .value();
  REQUIRE(producer.send_and_wait({.payload = "0", .partition = 1}).has_value());
  cluster.node(2).hang();
  constexpr int kMessages = 600;  // much more than the buffer takes
  const std::string padding(500, ' ');
  const auto deadline = std::chrono::steady_clock::now() + net::kPatience;
  int sent = 1;
  while (sent < kMessages) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    const auto text = std::to_string(sent) + padding;
    if (producer.try_send({.payload = text})) ++sent;
  }
  // A message keeps its partition: a share of the buffer waits.
  CHECK(producer.stats().buffered_bytes > 10'000);
  CHECK(cluster.payloads(1).size() == 1);
  cluster.node(2).wake();
  REQUIRE(producer.flush());
  check_once_in_order(cluster, 2, kMessages);
}

TEST_CASE("without idempotence nothing is sent twice, and a main that moved costs nothing") {
  FakeCluster cluster(2, 1);
  auto client = Client::connect(cluster_options(cluster)).value();
  auto producer =
      client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 1, .idempotent = false})
          .value();
  REQUIRE(producer.send_and_wait({.payload = "0"}).has_value());
  cluster.move_main(0, 2);
  for (int i = 1; i < 6; ++i) {
    const auto text = std::to_string(i);
    REQUIRE(producer.send({.payload = text}));
  }
  REQUIRE(producer.flush());
  check_once_in_order(cluster, 1, 6);
}

TEST_CASE("a single producer takes its place again where partition 0 has gone") {
  FakeCluster cluster(3, 2);
  cluster.move_main(0, 3);
  auto client = Client::connect(cluster_options(cluster)).value();
  auto producer =
      client
          .producer(
              {.topic = "t", .name = "p", .instance = ProducerInstance::kSingle, .linger_ms = 0})
          .value();
  REQUIRE(producer.send_and_wait({.payload = "0", .partition = 0}).has_value());
  cluster.node(3).stop_listening();
  cluster.move_main(0, 2);
  REQUIRE(producer.send_and_wait({.payload = "1", .partition = 0}).has_value());
  REQUIRE(producer.send_and_wait({.payload = "2", .partition = 1}).has_value());
  cluster.world().on([&] {
    const auto& opens = cluster.world().opens;
    REQUIRE(opens.size() >= 2);
    CHECK(opens.front().session == opens.back().session);
    CHECK(opens.back().producer_id == 900);
  });
  check_once_in_order(cluster, 2, 3);
}

}  // namespace andyx::client
