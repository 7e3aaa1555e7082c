// What a peer has to offer to be compared: messages that are acknowledged in the order in which
// they were sent, a count of what it has stored, and reading all of it. One thread. Every call
// fails with the peer's own words where it refuses something.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "protocol/net/loop.h"
#include "tools/compare_load/connection.h"

namespace andyx::compare {

// When a run ends that has not had all of its messages by then.
class Deadline {
 public:
  // `seconds` from now on; 0: never.
  explicit Deadline(double seconds)
      : end_ns_(seconds > 0 ? net::monotonic_ns() + static_cast<std::uint64_t>(seconds * 1e9)
                            : std::numeric_limits<std::uint64_t>::max()) {}
  bool over(std::uint64_t now_ns = net::monotonic_ns()) const { return now_ns >= end_ns_; }

 private:
  std::uint64_t end_ns_;
};

struct Consumed {
  std::uint64_t messages = 0, bytes = 0;  // bytes: of payloads
};

class Peer {
 public:
  virtual ~Peer() = default;

  // Makes the stream or topic, which must not be there yet.
  virtual Status create() = 0;
  // Queues one message. Where the peer's clients send batches, it may wait in one.
  virtual Status put(std::string_view payload) = 0;
  // Nothing more will follow for now: sends what waits.
  virtual Status seal() { return {}; }
  // Messages acknowledged by the replies that have arrived since the last call.
  virtual Result<std::uint64_t> take_acknowledged() = 0;

  // How many messages the peer says it has.
  virtual Result<std::uint64_t> stored() = 0;
  // Reads `messages` from the first one on, in the peer's fastest way; fewer where the time is over
  // before.
  virtual Result<Consumed> consume(std::uint64_t messages, const Deadline& deadline) = 0;

  // Of the node that leads what create() has made; empty: there is only one.
  virtual std::optional<std::uint16_t> leader_port() const { return std::nullopt; }

  Connection& connection() { return connection_; }

 protected:
  explicit Peer(Connection connection) : connection_(std::move(connection)) {}
  Connection connection_;
};

struct PeerOptions {
  std::uint16_t port = 0;
  std::string name = "compare";
  std::uint32_t partitions = 4;         // where the peer has them
  std::uint32_t replicas = 1;           // NATS only
  std::size_t batch_bytes = 64 * 1024;  // where the peer's clients send batches
};

Result<std::unique_ptr<Peer>> open_nats(const PeerOptions& options);
Result<std::unique_ptr<Peer>> open_redis(const PeerOptions& options);
Result<std::unique_ptr<Peer>> open_kafka(const PeerOptions& options);
Result<std::unique_ptr<Peer>> open_rabbitmq(const PeerOptions& options);

}  // namespace andyx::compare
