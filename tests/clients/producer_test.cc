#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "protocol/batch/key_hash.h"
#include "tests/clients/client_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeServer;

std::vector<std::string> all_payloads(FakeServer& server) {
  return server.on([&] {
    std::vector<std::string> all;
    for (const auto& partition : server.partitions) {
      all.insert(all.end(), partition.payloads.begin(), partition.payloads.end());
    }
    return all;
  });
}

}  // namespace

TEST_CASE("unkeyed messages go round robin, each is told its offset") {
  FakeServer server(2);
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t"}).value();
  CHECK(producer.partitions() == 2);
  std::mutex mutex;
  std::set<std::pair<std::uint32_t, Offset>> places;
  for (int i = 0; i < 4; ++i) {
    REQUIRE(producer.send({.payload = "m"}, [&](const SendOutcome& outcome) {
      std::lock_guard lock(mutex);
      REQUIRE(outcome.has_value());
      places.emplace(outcome->partition, outcome->offset);
    }));
  }
  REQUIRE(producer.flush());
  CHECK(places == std::set<std::pair<std::uint32_t, Offset>>{{0, 0}, {0, 1}, {1, 0}, {1, 1}});
  CHECK(producer.stats().messages_acked == 4);
  CHECK(producer.stats().buffered_bytes == 0);
}

TEST_CASE("over many partitions, unkeyed messages share batches") {
  FakeServer server(200);
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t", .linger_ms = 60'000}).value();
  std::mutex mutex;
  std::set<std::uint32_t> before;
  for (int round = 0; round < 2; ++round) {
    std::map<std::uint32_t, int> messages;
    for (int i = 0; i < 160; ++i) {
      REQUIRE(producer.send({.payload = "m"}, [&](const SendOutcome& outcome) {
        std::lock_guard lock(mutex);
        REQUIRE(outcome.has_value());
        ++messages[outcome->partition];
      }));
    }
    REQUIRE(producer.flush());
    std::lock_guard lock(mutex);
    CHECK(messages.size() == 16);
    for (const auto& [partition, count] : messages) {
      CHECK(count == 10);
      CHECK(before.insert(partition).second);  // others than in the round before
    }
  }
}

TEST_CASE("a key decides the partition, a message may name it, a wrong one is refused") {
  FakeServer server(4);
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t"}).value();
  for (const char* key : {"a", "b", "c", "a"}) {
    const auto stored = producer.send_and_wait({.key = key, .payload = key});
    REQUIRE(stored.has_value());
    CHECK(stored->partition == batch::partition_of_key(key, 4));
  }
  CHECK(producer.send_and_wait({.payload = "x", .partition = 3})->partition == 3);
  CHECK(producer.send({.payload = "x", .partition = 4}).error().code ==
        ErrorCode::kUnknownPartition);
}

TEST_CASE("a lost connection loses and doubles nothing, and keeps the order") {
  const auto seed = std::random_device{}();
  MESSAGE("seed ", seed);
  std::mt19937 random(seed);
  constexpr int kMessages = 3'000;
  FakeServer server(2);
  // Stored, but the answer is lost with the connection; or lost before it was stored.
  server.intercept([&](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::Produce || random() % 20 != 0) return false;
    session.connection->close(0, Error{});
    return random() % 2 == 0;
  });
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 300}).value();
  std::atomic<int> failed{0};
  for (int i = 0; i < kMessages; ++i) {
    const auto text = std::to_string(i);
    REQUIRE(producer.send({.payload = text},
                          [&](const SendOutcome& outcome) { failed += !outcome.has_value(); }));
  }
  REQUIRE(producer.flush());
  CHECK(failed == 0);
  CHECK(producer.stats().batches_resent > 0);
  server.on([&] {
    int total = 0;
    for (const auto& partition : server.partitions) {
      int last = -1;
      bool rising = true;
      for (const auto& payload : partition.payloads) {
        rising &= std::stoi(payload) > last;
        last = std::stoi(payload);
      }
      CHECK(rising);
      total += static_cast<int>(partition.payloads.size());
    }
    CHECK(total == kMessages);
  });
}

TEST_CASE("a server that comes back gets what waited for it") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t"}).value();
  REQUIRE(producer.send_and_wait({.payload = "first"}).has_value());
  server.stop_listening();
  REQUIRE(producer.send({.payload = "second"}));
  server.listen_again();
  REQUIRE(producer.flush());
  CHECK(all_payloads(server) == std::vector<std::string>{"first", "second"});
}

TEST_CASE("a dead server: messages fail after the delivery timeout, flush and close return") {
  FakeServer server;
  auto client = Client::connect({.servers = {server.address()}, .request_timeout_ms = 100}).value();
  auto producer = client.producer({.topic = "t", .delivery_timeout_ms = 100}).value();
  server.stop_listening();
  // From here on the client knows.
  CHECK(client.admin().list_topics().error().code == ErrorCode::kTimedOut);
  const auto outcome = producer.send_and_wait({.payload = "lost"});
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == ErrorCode::kTimedOut);
  CHECK(outcome.error().stored == Storedness::kNotStored);
  REQUIRE(producer.send({.payload = "lost too"}));
  CHECK(producer.close().error().code == ErrorCode::kTimedOut);
  CHECK(producer.send({.payload = "x"}).error().code == ErrorCode::kShuttingDown);
}

TEST_CASE("memory is bounded when the server does not answer") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client
                      .producer({.topic = "t",
                                 .batch_bytes = 1'000,
                                 .buffer_bytes = 20'000,
                                 .delivery_timeout_ms = 300})
                      .value();
  server.intercept([](FakeServer::Session&, const protocol::Frame& f) {
    return f.body_type() == Body::Produce;
  });
  const std::string payload(500, 'x');
  Status sent;
  int accepted = 0;
  while ((sent = producer.try_send({.payload = payload}))) ++accepted;
  CHECK(sent.error().code == ErrorCode::kOverloaded);
  CHECK(accepted >= 30);
  CHECK(accepted <= 40);
  CHECK(producer.stats().buffered_bytes < 21'000);
  // A waiting sender goes on once there is room: here, once the first ones have failed.
  CHECK(producer.send({.payload = payload}).has_value());
}

TEST_CASE("a buffer that is nearly full does not make batches small") {
  for (const std::uint32_t partitions : {1U, 3U, 40U}) {
    CAPTURE(partitions);
    FakeServer server(partitions);
    auto client = client_of(server);
    auto producer =
        client
            .producer(
                {.topic = "t", .linger_ms = 60'000, .batch_bytes = 4'000, .buffer_bytes = 400'000})
            .value();
    server.hang();
    const std::string payload(100, 'x');
    while (producer.try_send({.payload = payload})) {
    }
    server.wake();
    REQUIRE(producer.flush());
    CHECK(producer.stats().messages_acked > 2'000);
    CHECK(producer.stats().batches_acked < 150);  // 100 full ones, and those that were open
  }
}

TEST_CASE("a refused batch fails alone, what follows goes on under a new producer id") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t", .linger_ms = 0, .batch_bytes = 1}).value();
  int seen = 0;
  server.intercept([&](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::Produce || ++seen != 2) return false;
    session.error(frame.correlation_id(), ErrorCode::kMessageTooLarge);
    return true;
  });
  for (const char* text : {"a", "b", "c", "d"}) REQUIRE(producer.send({.payload = text}));
  CHECK(producer.flush().error().code == ErrorCode::kMessageTooLarge);
  CHECK(producer.flush().has_value());  // told once
  CHECK(all_payloads(server) == std::vector<std::string>{"a", "c", "d"});
  CHECK(server.on([&] { return server.producers_opened; }) == 2);
}

TEST_CASE("limits of a message are refused before anything is sent") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t"}).value();
  const std::string big(limits::kMaxMessageBytes + 1, 'x');
  CHECK(producer.send({.payload = big}).error().code == ErrorCode::kMessageTooLarge);
  CHECK(client.producer({.topic = "no such topic"}).error().code == ErrorCode::kBadName);
  CHECK(client.producer({.topic = "other"}).error().code == ErrorCode::kUnknownTopic);
  CHECK(client.producer({.topic = "t", .max_in_flight_batches = 11}).error().code ==
        ErrorCode::kBadArgument);
}

TEST_CASE("dropping the producer and closing the client end every message") {
  for (const bool close_client : {false, true}) {
    FakeServer server;
    auto client = client_of(server);
    server.intercept([](FakeServer::Session&, const protocol::Frame& f) {
      return f.body_type() == Body::Produce;
    });
    std::atomic<int> ended{0};
    {
      auto producer = client.producer({.topic = "t", .linger_ms = 1'000}).value();
      for (int i = 0; i < 10; ++i) {
        REQUIRE(producer.send({.payload = "x"}, [&](const SendOutcome& outcome) {
          ended += outcome.error().code == ErrorCode::kShuttingDown;
        }));
      }
      if (close_client) client.close();
    }
    CHECK(ended == 10);
  }
}

TEST_CASE("a callback that waits is told so instead of stopping everything") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t"}).value();
  net::Slot<ErrorCode> told;
  REQUIRE(producer.send({.payload = "x"},
                        [&](const SendOutcome&) { told.put(producer.flush().error().code); }));
  CHECK(told.take() == ErrorCode::kBadArgument);
}

TEST_CASE("many threads share a producer") {
  constexpr int kThreads = 4;
  constexpr int kEach = 5'000;
  FakeServer server(4);
  auto client = client_of(server);
  std::atomic<std::uint64_t> stored{0};
  auto producer = client
                      .producer({.topic = "t",
                                 .compression = Compression::kLz4,
                                 .buffer_bytes = 200'000,
                                 .on_batch =
                                     [&](const BatchOutcome& batch) {
                                       if (batch.error == nullptr) stored += batch.count;
                                     }})
                      .value();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto key = std::to_string(t);
      for (int i = 0; i < kEach; ++i) {
        const auto text = key + ":" + std::to_string(i);
        if (!producer.send({.key = key, .payload = text})) return;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(producer.close());
  CHECK(stored == kThreads * kEach);
  const auto all = all_payloads(server);
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == kThreads * kEach);
  std::vector<int> next(kThreads, 0);
  bool in_order = true;
  for (const auto& payload : all)
    in_order &= std::stoi(payload.substr(2)) == next[payload[0] - '0']++;
  CHECK(in_order);
}

}  // namespace andyx::client
