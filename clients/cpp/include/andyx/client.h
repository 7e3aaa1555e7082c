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
  // HOST:PORT, or several of them separated by commas; any that answer will do. The other nodes of
  // the cluster are learned from it, and each of them can take its place.
  std::vector<std::string> servers = {"127.0.0.1:6540"};
  std::string name = "andyx-cpp";  // shown by the server
  std::string cluster_id;  // refuses every other cluster; empty: all but that of the first hello
  std::uint32_t connect_timeout_ms = 5'000;   // of connect(), over all servers
  std::uint32_t request_timeout_ms = 30'000;  // of one call, reconnects and redirects included
  // A node that has something to answer and sends nothing for so long, pings in vain, is lost: what
  // it was asked goes to another one where that is safe. At least 1.
  std::uint32_t ping_timeout_ms = 3'000;
  // Before that, after so long, others are asked whether its partitions have moved, and what has
  // moved is followed; so too where it is heard, but does not answer what it was sent to store. Who
  // is only busy keeps what it has. At least 1.
  std::uint32_t doubt_ms = 1'000;
  std::uint32_t backoff_min_ms = 20;  // doubles with each failed attempt, with jitter
  std::uint32_t backoff_max_ms = 1'000;
  // Only `servers` can be reached, not the nodes that they name: everything goes through the one
  // that answers, which passes it on (a balancer, or any node).
  bool front_door = false;
  std::uint64_t seed = 0;  // of jitter and round robin; 0: a random one
};

class Client {
 public:
  // Starts the thread and says hello; the first server that answers is used. kUnreachable,
  // kTimedOut, kBadArgument (an address), kWrongCluster, kUnsupportedVersion.
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
