// Consumers over a cluster: the coordinator is one node, the partitions are on others, and all of
// them move.
#include <atomic>

#include "tests/clients/cluster_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeCluster;
using test::FakeServer;

// Three nodes; partition p is on node p + 1; ten messages in each, in batches of their own. The
// epochs of the partitions stay over attachments.
struct Setup {
  explicit Setup(NodeId coordinator = 1, bool doubting = false)
      : client(Client::connect(doubting ? doubting_options(cluster) : cluster_options(cluster))
                   .value()) {
    if (coordinator != 1) cluster.move_coordinator(coordinator);
    cluster.world().on([&] { world().first_assignment = {{0, 50}, {1, 51}, {2, 52}}; });
    auto producer = client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 1}).value();
    for (std::uint32_t i = 0; i < 30; ++i) {
      const auto text = std::to_string(i / 3);
      REQUIRE(producer.send({.payload = text, .partition = i % 3}));
      REQUIRE(producer.flush());
    }
  }
  FakeServer& world() { return cluster.world(); }
  Consumer subscribe() { return client.subscribe({.topic = "t", .subscription = "s"}).value(); }
  template <typename Condition>
  void wait_for(Condition condition) {
    while (!world().on([&] { return condition(); })) std::this_thread::yield();
  }
  std::uint32_t stream_of(std::uint32_t partition) {
    return world().on([&] { return world().streams.at(partition).id; });
  }
  // Until the stream of the partition is another one than `before`, on this node.
  void wait_for_stream(std::uint32_t partition, std::uint32_t before, NodeId node) {
    wait_for([&] {
      const auto found = world().streams.find(partition);
      return found != world().streams.end() && found->second.id != before &&
             found->second.session->server->node_id == node;
    });
  }
  std::size_t attachments() {
    return world().on([&] { return world().sessions.size(); });
  }

  FakeCluster cluster{3, 3};
  Client client;
};

MessageBatch next(Consumer& consumer) {
  auto batch = consumer.poll(60'000);
  REQUIRE(batch.has_value());
  REQUIRE_FALSE(batch->empty());
  return std::move(*batch);
}

void wait_for_messages(Consumer& consumer, std::uint64_t count) {
  while (consumer.stats().messages_received < count) std::this_thread::yield();
}

}  // namespace

TEST_CASE("attaching and detaching go to the coordinator, each stream to the main") {
  Setup setup(2);
  auto consumer = setup.subscribe();
  setup.world().on([&] {
    REQUIRE(setup.world().streams.size() == 3);
    for (const auto& [partition, stream] : setup.world().streams)
      CHECK(stream.session->server->node_id == partition + 1);
    CHECK(setup.world().attached->server->node_id == 2);
  });
  setup.world().deliver(2, 0, 4);
  consumer.acknowledge(next(consumer));
  REQUIRE(consumer.close());
  CHECK(setup.world().on([&] { return setup.world().unsubscribes; }) == 1);
}

TEST_CASE("a coordinator's pings go to its node") {
  Setup setup(2);
  setup.world().on([&] { setup.world().session_timeout_ms = 60; });
  auto consumer = setup.subscribe();
  setup.wait_for([&] { return setup.cluster.node(2).pings >= 6; });
}

TEST_CASE("a main moves: only the stream of its partition is opened again, there") {
  Setup setup;
  auto consumer = setup.subscribe();
  setup.world().deliver(0, 0, 4);
  wait_for_messages(consumer, 5);
  const auto stays = setup.stream_of(0);
  const auto moves = setup.stream_of(1);
  setup.cluster.move_main(1, 3, {1});  // and the node that is asked for metadata does not know
  setup.world().end_stream(1, ErrorCode::kNotMain, 3);
  setup.wait_for_stream(1, moves, 3);
  CHECK(setup.stream_of(0) == stays);
  CHECK(setup.attachments() == 1);
  setup.world().deliver(1, 0, 0);
  CHECK(next(consumer).partition() == 0);  // nothing of it was dropped
  CHECK(next(consumer).partition() == 1);
}

TEST_CASE("a node hangs and has been replaced: what it had goes on before it is given up") {
  Setup setup(2, true);
  auto consumer = setup.subscribe();
  const auto stays = setup.stream_of(0);
  const auto moves = setup.stream_of(1);
  setup.cluster.node(2).hang();
  setup.cluster.move_main(1, 3);
  setup.cluster.move_coordinator(3);
  setup.wait_for_stream(1, moves, 3);
  setup.wait_for([&] { return setup.world().attached->server->node_id == 3; });
  CHECK(setup.stream_of(0) == stays);
  CHECK(setup.world().on([&] { return setup.cluster.node(2).lost_connections; }) == 0);
  setup.world().deliver(1, 0, 0);
  CHECK(next(consumer).partition() == 1);
  setup.cluster.node(2).wake();
}

TEST_CASE("a node dies or hangs: its partitions go on at the next main, the others on theirs") {
  for (const bool hangs : {false, true}) {
    CAPTURE(hangs);
    Setup setup;
    auto consumer = setup.subscribe();
    setup.world().deliver(0, 0, 4);
    setup.world().deliver(1, 0, 4);
    wait_for_messages(consumer, 10);
    auto batch = next(consumer);
    REQUIRE(batch.partition() == 0);
    batch = next(consumer);
    REQUIRE(batch.partition() == 1);
    const auto stays = setup.stream_of(0);
    const auto moves = setup.stream_of(1);
    hangs ? setup.cluster.node(2).hang() : setup.cluster.node(2).stop_listening();
    consumer.acknowledge(batch);  // its confirmation is to come from the next main
    setup.cluster.move_main(1, 3);
    setup.wait_for_stream(1, moves, 3);
    REQUIRE(consumer.flush_answers());
    setup.world().on([&] {
      REQUIRE(setup.world().answers.size() == 1);
      CHECK(setup.world().answers[0].ranges == std::vector<std::pair<Offset, Offset>>{{0, 4}});
    });
    CHECK(setup.stream_of(0) == stays);
    CHECK(setup.attachments() == 1);
    CHECK(consumer.stats().reconnects == 1);
    if (hangs) setup.cluster.node(2).wake();
  }
}

TEST_CASE("the coordinator dies: the same session attaches at the next one, streams stay open") {
  Setup setup(2);
  setup.cluster.move_main(1, 3);  // node 2 coordinates and leads nothing
  auto consumer = setup.subscribe();
  setup.world().deliver(0, 0, 4);
  wait_for_messages(consumer, 5);
  std::vector<std::uint32_t> streams;
  for (const std::uint32_t i : {0, 1, 2}) streams.push_back(setup.stream_of(i));
  setup.cluster.node(2).stop_listening();
  setup.cluster.move_coordinator(3);
  while (consumer.stats().reconnects == 0) std::this_thread::yield();
  setup.world().on([&] {
    REQUIRE(setup.world().sessions.size() == 2);
    CHECK(setup.world().sessions[0] == setup.world().sessions[1]);
    CHECK(setup.world().attached->server->node_id == 3);
  });
  for (const std::uint32_t i : {0, 1, 2}) CHECK(setup.stream_of(i) == streams[i]);
  CHECK(next(consumer).ranges()[0].last == 4);
}

TEST_CASE("the next coordinator gives other epochs: just these partitions are opened again") {
  Setup setup(2);
  setup.cluster.move_main(1, 3);
  auto consumer = setup.subscribe();
  const auto stays = setup.stream_of(0);
  const auto changes = setup.stream_of(1);
  setup.world().on([&] { setup.world().first_assignment = {{0, 50}, {1, 90}, {2, 52}}; });
  setup.cluster.node(2).stop_listening();
  setup.cluster.move_coordinator(3);
  setup.wait_for_stream(1, changes, 3);
  CHECK(setup.world().on([&] { return setup.world().streams.at(1).epoch; }) == 90);
  CHECK(setup.stream_of(0) == stays);
}

TEST_CASE("the coordinator moves while its node lives: the consumer follows") {
  Setup setup;
  auto consumer = setup.subscribe();
  const auto stream = setup.stream_of(2);
  setup.cluster.move_coordinator(3);
  setup.world().detach(ErrorCode::kNotMain, 3);
  while (consumer.stats().reconnects == 0) std::this_thread::yield();
  CHECK(setup.world().on([&] { return setup.world().attached->server->node_id; }) == 3);
  CHECK(setup.stream_of(2) == stream);
  setup.world().detach(ErrorCode::kStaleAttach);  // that is still the end
  CHECK(consumer.poll(60'000).error().code == ErrorCode::kStaleAttach);
}

TEST_CASE("a partition without a main does not stop the others, and is opened when it has one") {
  Setup setup;
  auto consumer = setup.subscribe();
  const auto before = setup.stream_of(1);
  setup.cluster.move_main(1, 0);
  setup.world().end_stream(1, ErrorCode::kNotMain);
  setup.world().deliver(0, 0, 4);
  CHECK(next(consumer).partition() == 0);
  setup.cluster.move_main(1, 3);
  setup.wait_for_stream(1, before, 3);
  CHECK(setup.attachments() == 1);
}

TEST_CASE("attaching ends with an error when a partition has no main for the request's time") {
  Setup setup;
  setup.cluster.move_main(1, 0);
  auto options = cluster_options(setup.cluster);
  options.request_timeout_ms = 300;
  auto client = Client::connect(options).value();
  CHECK_FALSE(client.subscribe({.topic = "t", .subscription = "s"}).has_value());
}

}  // namespace andyx::client
