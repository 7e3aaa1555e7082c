// Producers and consumers at work through the client library, each with a thread and a client of
// its own, that write down what they were promised. They live through restarts of the server.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "andyx/client.h"
#include "tests/integration/support/delivery_ledger.h"

namespace andyx::test {

// Shared by the load and its judge; everything but `run` under the mutex.
struct Book {
  std::mutex mutex;
  DeliveryLedger messages;
  Violations failures;  // errors that a client surfaced although it had time to recover
  std::atomic<std::uint32_t> run{1};  // starts of the server
};

struct ProducerStyle {
  bool keyed = false;
  std::uint32_t linger_ms = 0;
  std::size_t batch_bytes = 64 * 1024;
  std::size_t max_payload_bytes = 200;
  client::Compression compression = client::Compression::kNone;
  client::Acks acks = client::Acks::kMain;
  std::uint32_t max_in_flight_messages = 32;
};

class ProducerLoad {
 public:
  ProducerLoad(Book& book, const std::string& server, const std::string& topic, std::uint32_t id,
               ProducerStyle style, std::uint64_t seed);
  ~ProducerLoad();

  void stop();  // no more sends; waits until everything sent is answered
  // Stops sending when the server refuses, as it does while it stops; then `stop` waits for
  // nothing.
  void allow_refusal() { refusal_allowed_ = true; }

  std::uint64_t acknowledged() const { return acknowledged_.load(); }
  std::uint64_t in_flight() const { return sent_.load() - answered_.load(); }

 private:
  void run(std::uint64_t seed);
  void send_one(MessageId id, const std::string& key, const std::string& payload);
  void answered(MessageId id, const client::SendOutcome& outcome);
  void fail(const Error& error);

  Book& book_;
  const std::uint32_t id_;
  const ProducerStyle style_;
  client::Client client_;
  client::Producer producer_;
  std::atomic<bool> stopping_{false}, refusal_allowed_{false};
  std::atomic<std::uint64_t> sent_{0}, answered_{0}, acknowledged_{0};
  std::mutex room_mutex_;
  std::condition_variable room_;
  std::thread thread_;
};

struct ConsumerStyle {
  std::string subscription;
  client::SubscriptionType type = client::SubscriptionType::kUnique;
  client::SubscriptionMode mode = client::SubscriptionMode::kNonresilient;
  bool key_ordered = false;
  // Of 100 messages so many are skipped, and unacknowledged (with a delay, every second one).
  std::uint32_t skip_percent = 0, unacknowledge_percent = 0;
  // Over 0: messages at offsets that this divides always fail, the second time for good.
  Offset poison_every = 0;
  std::shared_ptr<SubscriptionLedger> ledger = std::make_shared<SubscriptionLedger>();
  // Of 100 batches so many are answered later, so that answers lie above the floor.
  std::uint32_t late_percent = 0;
};

class ConsumerLoad {
 public:
  ConsumerLoad(Book& book, const std::string& server, const std::string& topic, ConsumerStyle style,
               std::uint64_t seed);
  ~ConsumerLoad();

  void stop();  // joins; what is not confirmed by then stays so
  // Under the book's mutex.
  const SubscriptionLedger& ledger() const { return *style_.ledger; }
  const std::string& subscription() const { return style_.subscription; }

 private:
  struct Taken {
    std::uint32_t partition;
    std::vector<client::OffsetRange> ranges;
  };
  void run(std::uint64_t seed);
  Taken take(client::MessageBatch& batch, std::uint32_t run);
  void answer(const Taken& taken, std::mt19937_64& random);
  void confirm();

  Book& book_;
  const ConsumerStyle style_;
  client::Client client_;
  client::Consumer consumer_;
  std::vector<Taken> late_, unconfirmed_;
  std::uint64_t refused_ = 0;  // messages, of ConsumerStats
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace andyx::test
