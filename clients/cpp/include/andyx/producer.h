// Sending messages to one topic. Thread-safe: send() appends to a batch under a short lock; the
// client's thread does the rest. Idempotent by default: retries never store a message twice, and
// messages of one partition keep their order.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "andyx/types.h"

namespace andyx::client {

class ClientImpl;
class ProducerImpl;

struct SendError : Error {
  Storedness stored = Storedness::kNotStored;  // what may be believed about the message
};

struct Delivered {
  std::uint32_t partition = 0;
  Offset offset = kNoOffset;  // kNoOffset with Acks::kNone, and for a duplicate of long ago
  TimeUs append_time_us = 0;
  std::uint32_t copies = 0;  // nodes known to hold it; Acks::kMain: 1; 0: not known
  bool duplicate = false;    // its message id was stored before: `offset` is of that one
};
using SendOutcome = std::expected<Delivered, SendError>;
// On the client's thread; must not block, and must not call the blocking functions of this library.
using SendCallback = std::move_only_function<void(const SendOutcome&)>;

// One answered batch: cheaper than a callback for each message.
struct BatchOutcome {
  std::uint32_t partition = 0;
  std::uint32_t count = 0;
  std::size_t size_bytes = 0;
  TimeUs first_time_us = 0;        // producer time of its first message
  Offset base_offset = kNoOffset;  // see Delivered
  TimeUs append_time_us = 0;
  std::uint32_t copies = 0;          // see Delivered
  const SendError* error = nullptr;  // null: stored
};
using BatchCallback = std::function<void(const BatchOutcome&)>;

struct ProducerOptions {
  std::string topic;  // andyx://tenant/product/component/topic, or a bare name
  std::string name;   // empty: anonymous; with one the topic keeps a record of the producer
  ProducerInstance instance = ProducerInstance::kMultiple;  // of a producer with a name
  // Of a producer with a name: who says the same session again takes its own place. 0: a random
  // one.
  std::uint64_t session = 0;
  Acks acks = Acks::kMain;
  Compression compression = Compression::kNone;
  std::uint32_t linger_ms = 2;          // how long a batch waits for more messages; 0: not at all
  std::size_t batch_bytes = 64 * 1024;  // a batch of this size is sent at once
  std::uint32_t max_in_flight_batches = 10;     // for each partition, 1..10
  std::size_t buffer_bytes = 32 * 1024 * 1024;  // not yet answered; over it send() blocks
  std::uint32_t delivery_timeout_ms = 30'000;   // without any progress of the partition
  bool idempotent = true;  // false: after a lost connection messages fail as maybe stored
  BatchCallback on_batch;  // on the client's thread; same rules as SendCallback
};

// A message to be sent; views that are only read during send().
struct OutMessage {
  std::optional<std::string_view> key;  // equal keys go to the same partition, in order
  std::string_view payload;
  std::span<const Header> headers;
  TimeUs time_us = 0;        // producer time; 0: now
  TimeUs deliver_at_us = 0;  // not delivered before; 0: at once. At most 366 days ahead
  // The server takes one of each within its window, where the topic has one.
  std::optional<std::string_view> message_id;
  std::optional<std::uint32_t> partition;  // fixed by the caller; else by key; else in turn, over
                                           // at most 16 open batches
};

struct ProducerStats {
  std::uint64_t messages_sent = 0;  // accepted by send()
  std::uint64_t messages_acked = 0;
  std::uint64_t messages_failed = 0;
  std::uint64_t bytes_acked = 0;  // of batches
  std::uint64_t batches_acked = 0;
  std::uint64_t batches_resent = 0;
  std::size_t buffered_bytes = 0;
};

class Producer {
 public:
  Producer(Producer&&) noexcept;
  Producer& operator=(Producer&&) noexcept;
  ~Producer();  // close() without waiting: what is not answered fails

  std::uint32_t partitions()
      const;  // those added to the topic are followed while messages are sent

  // Blocks while the buffer is full: until messages are answered, or fail after
  // delivery_timeout_ms. kProducerFenced is for good: another one of this name has been opened,
  // or it was deleted. An error means that the message was not accepted and that the callback is
  // not called. kMessageTooLarge, kBadArgument, kUnknownPartition, kShuttingDown.
  Status send(const OutMessage& message, SendCallback callback = nullptr);
  // Never blocks: kOverloaded when the buffer is full.
  Status try_send(const OutMessage& message, SendCallback callback = nullptr);
  std::future<SendOutcome> send_future(const OutMessage& message);
  SendOutcome send_and_wait(const OutMessage& message);

  // Sends everything now and waits until it is answered. The first error since the last flush(), if
  // there was one.
  Status flush();
  // flush(), then no more sends. Idempotent.
  Status close();

  ProducerStats stats() const;

 private:
  friend class Client;
  explicit Producer(std::shared_ptr<ProducerImpl> impl);
  std::shared_ptr<ProducerImpl> impl_;
};

}  // namespace andyx::client
