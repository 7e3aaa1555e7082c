// The connection of a program to Andy X: one thread of its own does all I/O; producers, consumers
// and administration share it. Thread-safe. Outlives what was made from it, or those end with
// kShuttingDown. Lost connections come back by themselves, with back-off.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "andyx/admin.h"
#include "andyx/consumer.h"
#include "andyx/producer.h"
#include "andyx/types.h"

namespace andyx::client {

class ClientImpl;

struct ClientOptions {
  std::vector<std::string> servers = {"127.0.0.1:6540"};  // HOST:PORT; tried in turn
  std::string name = "andyx-cpp";                         // shown by the server
  std::string cluster_id;                                 // refuses every other cluster; empty: any
  std::uint32_t connect_timeout_ms = 5'000;               // of connect(), over all servers
  std::uint32_t request_timeout_ms = 30'000;              // of one call, reconnects included
  std::uint32_t backoff_min_ms = 20;  // doubles with each failed attempt, with jitter
  std::uint32_t backoff_max_ms = 1'000;
  std::uint64_t seed = 0;  // of jitter and round robin; 0: a random one
};

class Client {
 public:
  // Starts the thread and says hello to the first server that answers. kUnreachable, kTimedOut,
  // kBadArgument (an address), kWrongCluster, kUnsupportedVersion.
  static Result<Client> connect(ClientOptions options);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();  // close()

  // Finds the topic (the server creates it where its settings allow) and opens the producer.
  Result<Producer> producer(ProducerOptions options);
  // Attaches to the subscription; creates it with `options.start` where it is missing.
  Result<Consumer> subscribe(ConsumerOptions options);
  Admin admin();

  // Ends everything at once, without flushing: callbacks get kShuttingDown. Idempotent; not from a
  // callback.
  void close();

 private:
  explicit Client(std::shared_ptr<ClientImpl> impl);
  std::shared_ptr<ClientImpl> impl_;
};

}  // namespace andyx::client
