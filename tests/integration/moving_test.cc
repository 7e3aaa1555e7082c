// A client that sends one message after the other to one partition is served by the loop of that
// partition after a while; nobody notices but the log.
#include <doctest/doctest.h>

#include <string>

#include "andyx/client.h"
#include "tests/integration/support/cli.h"
#include "tests/integration/support/topic_reader.h"

namespace andyx::test {
namespace {

constexpr std::uint32_t kPartitions = 8;
constexpr int kRounds = 40;

std::size_t moves(const ServerProcess& server) {
  const std::string log = server.log(), word = "goes on at the loop";
  std::size_t count = 0;
  for (std::size_t at = log.find(word); at != std::string::npos; at = log.find(word, at + 1))
    ++count;
  return count;
}

std::string text(std::uint32_t partition, int round) {
  return std::to_string(partition) + "/" + std::to_string(round);
}

// Partition after partition, each many times in a row: on two loops, half of them are elsewhere.
void send_in_turn(client::Producer& producer, Offset first) {
  for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
    for (int round = 0; round < kRounds; ++round) {
      const std::string payload = text(partition, round);
      const auto sent = producer.send_and_wait({.payload = payload, .partition = partition});
      REQUIRE_MESSAGE(sent.has_value(), sent.error().message);
      CHECK(sent->offset == first + static_cast<Offset>(round));
    }
  }
}

}  // namespace

TEST_CASE("connections follow the partition that they produce to, and lose nothing") {
  ServerProcess server({.flags = {"--cores", "2", "--log-level", "debug"}});
  server.start();
  auto client = client::Client::connect({.servers = {server.address()}});
  REQUIRE(client.has_value());
  REQUIRE(client->admin().create_topic("t", kPartitions));
  auto producer = client->producer({.topic = "t", .linger_ms = 0});
  REQUIRE(producer.has_value());
  send_in_turn(*producer, 0);
  CHECK(moves(server) >= 2);  // there, and back

  // What others know by the connection holds it where it is.
  const std::size_t before = moves(server);
  auto consumer = client->subscribe({.topic = "t",
                                     .subscription = "s",
                                     .type = client::SubscriptionType::kUnique,
                                     .mode = client::SubscriptionMode::kNonresilient,
                                     .start = client::Start::earliest()});
  REQUIRE(consumer.has_value());
  std::uint64_t got = 0;
  const auto consume = [&](std::uint64_t wanted) {
    return wait_until([&] {
      const auto batch = consumer->poll(100);
      REQUIRE_MESSAGE(batch.has_value(), batch.error().message);
      got += batch->count();
      consumer->acknowledge(*batch);
      return got >= wanted;
    });
  };
  CHECK(consume(kPartitions * kRounds));
  send_in_turn(*producer, kRounds);
  CHECK(consume(2 * kPartitions * kRounds));
  CHECK(got == 2 * kPartitions * kRounds);
  REQUIRE(consumer->flush_answers());
  CHECK(moves(server) == before);
}

TEST_CASE("a named producer, which has its place by its connection, stays") {
  ServerProcess server({.flags = {"--cores", "2", "--log-level", "debug"}});
  server.start();
  auto client = client::Client::connect({.servers = {server.address()}});
  REQUIRE(client.has_value());
  REQUIRE(client->admin().create_topic("t", kPartitions));
  auto producer = client->producer({.topic = "t", .name = "orders", .linger_ms = 0});
  REQUIRE(producer.has_value());
  send_in_turn(*producer, 0);
  CHECK(moves(server) == 0);
  CHECK(producer->close());
}

}  // namespace andyx::test
