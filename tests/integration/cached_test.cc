// Delivery from memory: what is consumed while it sits in the tail cache costs no look-up in
// storage, as the server's own count of them says.
#include <doctest/doctest.h>

#include <string>

#include "andyx/client.h"
#include "protocol/base/limits.h"
#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

constexpr std::size_t kCacheBytes = 8 * limits::kMiB;
constexpr std::uint64_t kRounds = 200, kRoundMessages = 500;  // 100 KB in a round
const std::string kPayload(200, 'x');

std::uint64_t storage_reads(client::Client& client) {
  const auto status = client.admin().node_status();
  REQUIRE(status.has_value());
  std::uint64_t reads = 0;
  for (const auto& shard : status->storage) reads += shard.reads;
  return reads;
}

client::Consumer attach(client::Client& client, const std::string& subscription,
                        client::SubscriptionType type) {
  auto consumer = client.subscribe({.topic = "t",
                                    .subscription = subscription,
                                    .type = type,
                                    .mode = client::SubscriptionMode::kNonresilient,
                                    .start = client::Start::earliest()});
  REQUIRE_MESSAGE(consumer.has_value(), consumer.error().message);
  return std::move(*consumer);
}

void produce(client::Producer& producer, std::uint64_t messages) {
  for (std::uint64_t i = 0; i < messages; ++i) REQUIRE(producer.send({.payload = kPayload}));
  REQUIRE(producer.flush());
}

void consume(client::Consumer& consumer, std::uint64_t messages) {
  std::uint64_t got = 0;
  CHECK(wait_until([&] {
    const auto batch = consumer.poll(100);
    REQUIRE_MESSAGE(batch.has_value(), batch.error().message);
    got += batch->count();
    consumer.acknowledge(*batch);
    return got >= messages;
  }));
  CHECK(got == messages);
  REQUIRE(consumer.flush_answers());
}

}  // namespace

TEST_CASE("messages that are consumed as they come are never looked for in storage") {
  ServerProcess server({.flags = {"--tail-cache-bytes", std::to_string(kCacheBytes)}});
  server.start();
  auto client = client::Client::connect({.servers = {server.address()}});
  REQUIRE(client.has_value());
  REQUIRE(client->admin().create_topic("t", 2));
  auto producer = client->producer({.topic = "t"});
  REQUIRE(producer.has_value());
  for (const auto type : {client::SubscriptionType::kShared, client::SubscriptionType::kUnique}) {
    const std::string name = type == client::SubscriptionType::kShared ? "live" : "live-unique";
    INFO("subscription ", name);
    REQUIRE(client->admin().create_subscription("t", name,
                                                {.type = type,
                                                 .mode = client::SubscriptionMode::kNonresilient,
                                                 .start = client::Start::latest()}));
    auto consumer = attach(*client, name, type);
    const std::uint64_t before = storage_reads(*client);
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      produce(*producer, kRoundMessages);
      consume(consumer, kRoundMessages);
    }
    CHECK(storage_reads(*client) == before);
  }

  // All of it together is several times the cache, so this one has to look.
  const std::uint64_t before = storage_reads(*client);
  auto behind = attach(*client, "behind", client::SubscriptionType::kShared);
  consume(behind, 2 * kRounds * kRoundMessages);
  CHECK(storage_reads(*client) > before);
  const Json status = Cli(server).json({"node", "status"});
  CHECK(status.at("storage")[0].at("reads") > before);
  CHECK(Cli(server).ok({"node", "status"}).find("READS") != std::string::npos);
}

}  // namespace andyx::test
