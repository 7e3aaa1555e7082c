// Receiving the messages of one subscription. Thread-safe. The server pushes, within credits;
// messages wait here until poll() takes them or the handler gets them. Every message is answered:
// acknowledged, skipped, or unacknowledged (delivered again). After a reconnect, what was not
// confirmed may be delivered again: at least once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "andyx/message_batch.h"
#include "andyx/types.h"

namespace andyx::client {

class ClientImpl;
class Consumer;
class ConsumerImpl;

// kExtend: still working on it; its ack timeout begins anew.
enum class AnswerKind : std::uint8_t {
  kAcknowledge = 0,
  kSkip = 1,
  kUnacknowledge = 2,
  kExtend = 3
};

// Runs on a thread of the consumer's own; may block, may answer from inside or later.
using MessageHandler = std::function<void(Consumer&, MessageBatch&)>;

struct ConsumerOptions {
  std::string topic;
  std::string subscription;
  std::string name;  // of this consumer, unique among those attached; empty: a random one
  SubscriptionType type = SubscriptionType::kUnique;
  SubscriptionMode mode = SubscriptionMode::kResilient;
  Start start = Start::latest();  // for a subscription that this call creates
  bool create = true;             // where it is missing; else kUnknownSubscription
  bool key_ordered = false;       // shared: messages of one key stay in order
  std::int32_t priority = 0;      // failover: partitions go to the highest
  bool take_over = false;  // detaches who is in the way: the consumer of a unique subscription, or
                           // the one of the same name; it ends with kStaleAttach
  std::uint32_t ack_timeout_ms = 0;  // unanswered for so long: delivered again; 0: never
  std::uint32_t max_deliveries = 0;  // failed so often: to the dead-letter topic; 0: never
  std::size_t credit_bytes = 16 * 1024 * 1024;  // received and not yet taken, over all partitions
  std::uint64_t credit_messages = 1'000'000;    // the same in messages
  std::uint32_t answer_timeout_ms = 30'000;     // of flush_answers(), without any progress
  MessageHandler handler;                       // set: poll() must not be called
  std::function<void(const Error&)>
      on_error;  // with a handler: the consumer cannot go on; its thread
  // The partitions that this consumer has from now on, at first and after each change. On the
  // client's thread: must not wait.
  std::function<void(const std::vector<std::uint32_t>&)> on_assigned;
};

struct ConsumerStats {
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t answers_confirmed = 0;  // messages
  // Messages whose answer came too late: their partition, or they themselves, had gone to another
  // consumer. They may be delivered again, there.
  std::uint64_t answers_refused = 0;
  std::uint64_t reconnects = 0;  // how often, after a loss, everything assigned was open again
  std::size_t buffered_bytes = 0;
};

class Consumer {
 public:
  Consumer(Consumer&&) noexcept;
  Consumer& operator=(Consumer&&) noexcept;
  ~Consumer();  // detaches without waiting for answers

  // The next received messages, all of one partition; an empty batch when none came in time. An
  // error when the consumer cannot go on: kSubscriptionBusy, kUnknownSubscription, kUnknownTopic,
  // kStaleAttach (another one has taken over), kBadBatch…, kShuttingDown.
  Result<MessageBatch> poll(std::uint32_t timeout_ms);

  // Queue an answer and return; neighbours are sent together. An offset that was never delivered,
  // or was answered before, is ignored by the server. `delay_ms`, for kUnacknowledge: delivered
  // again after that.
  void answer(AnswerKind kind, std::uint32_t partition, OffsetRange range,
              std::uint32_t delay_ms = 0);
  void acknowledge(const Message& m) {
    answer(AnswerKind::kAcknowledge, m.partition, {m.offset, m.offset});
  }
  void skip(const Message& m) { answer(AnswerKind::kSkip, m.partition, {m.offset, m.offset}); }
  void unacknowledge(const Message& m, std::uint32_t delay_ms = 0) {
    answer(AnswerKind::kUnacknowledge, m.partition, {m.offset, m.offset}, delay_ms);
  }
  void extend(const Message& m) { answer(AnswerKind::kExtend, m.partition, {m.offset, m.offset}); }
  // Every message of the batch.
  void answer(AnswerKind kind, const MessageBatch& batch, std::uint32_t delay_ms = 0) {
    for (const auto& range : batch.ranges()) answer(kind, batch.partition(), range, delay_ms);
  }
  void acknowledge(const MessageBatch& batch) { answer(AnswerKind::kAcknowledge, batch); }

  // Waits until every answer given so far is durable on the server.
  Status flush_answers();
  // flush_answers(), then detaches; ends the handler's thread. Idempotent.
  Status close();

  ConsumerStats stats() const;

 private:
  friend class Client;
  friend class ConsumerImpl;
  explicit Consumer(std::shared_ptr<ConsumerImpl> impl, bool owns = true);
  void release();
  std::shared_ptr<ConsumerImpl> impl_;
  bool owns_ = true;  // false: the one that a handler is given
};

}  // namespace andyx::client
