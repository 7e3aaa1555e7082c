// What a peer has to offer to be compared: messages that are acknowledged in the order in which
// they were sent, a count of what it has stored, and reading all of it. One thread. Every call
// fails with the peer's own words where it refuses something.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "tools/compare_load/connection.h"

namespace andyx::compare {

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
  // Reads `messages` from the first one on, in the peer's fastest way; returns bytes of payloads.
  virtual Result<std::uint64_t> consume(std::uint64_t messages) = 0;

  Connection& connection() { return connection_; }

 protected:
  explicit Peer(Connection connection) : connection_(std::move(connection)) {}
  Connection connection_;
};

struct PeerOptions {
  std::uint16_t port = 0;
  std::string name = "compare";
  std::uint32_t partitions = 4;         // where the peer has them
  std::size_t batch_bytes = 64 * 1024;  // where the peer's clients send batches
};

Result<std::unique_ptr<Peer>> open_nats(const PeerOptions& options);
Result<std::unique_ptr<Peer>> open_redis(const PeerOptions& options);
Result<std::unique_ptr<Peer>> open_kafka(const PeerOptions& options);

}  // namespace andyx::compare
