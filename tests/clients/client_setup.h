// Clients of a fake server that connect again soon; and the fixture of the tests of consumers.
#pragma once

#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "andyx/client.h"
#include "tests/clients/fake_server.h"

namespace andyx::client {

inline Client client_of(const test::FakeServer& server) {
  return Client::connect({.servers = {server.address()}, .backoff_min_ms = 1, .backoff_max_ms = 20})
      .value();
}

// A server whose topic has messages, each in a batch of its own.
struct ConsumerSetup {
  ConsumerSetup(std::uint32_t partitions, int messages) : server(partitions) {
    auto producer = client.producer({.topic = "t"}).value();
    for (int i = 0; i < messages; ++i) {
      const auto text = std::to_string(i);
      REQUIRE(producer.send({.payload = text}));
      REQUIRE(producer.flush());  // a batch for each
    }
  }
  Result<Consumer> subscribe(ConsumerOptions options = {}) {
    options.topic = "t";
    options.subscription = "s";
    if (!options.on_assigned) {
      options.on_assigned = [this](const std::vector<std::uint32_t>& partitions) {
        std::lock_guard lock(mutex);
        assigned.push_back(partitions);
      };
    }
    return client.subscribe(std::move(options));
  }
  template <typename Condition>
  void wait_for(Condition condition) {
    while (!server.on([&] { return condition(); })) std::this_thread::yield();
  }

  test::FakeServer server;
  std::mutex mutex;
  std::vector<std::vector<std::uint32_t>> assigned;  // what the consumer was told
  Client client = client_of(server);
};

inline MessageBatch next(Consumer& consumer) {
  auto batch = consumer.poll(60'000);
  REQUIRE(batch.has_value());
  REQUIRE_FALSE(batch->empty());
  return std::move(*batch);
}

}  // namespace andyx::client
