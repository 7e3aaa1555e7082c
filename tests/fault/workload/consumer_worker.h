// A consumer at work: takes, answers in all ways, and writes down what it got and what was
// confirmed. Errors do not end it: it attaches again. A thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "andyx/client.h"
#include "tests/fault/history/history.h"
#include "tests/fault/workload/producer_worker.h"

namespace andyx::test::fault {

struct ConsumerPlan {
  std::string subscription;
  client::SubscriptionType type = client::SubscriptionType::kUnique;
  client::SubscriptionMode mode = client::SubscriptionMode::kNonresilient;
  bool key_ordered = false;
  // Of 100 messages so many are skipped, and unacknowledged (with a delay, every second one).
  std::uint32_t skip_percent = 0, unacknowledge_percent = 0;
};

// How far the consumers of one subscription have come. Any thread.
class Progress {
 public:
  explicit Progress(std::uint32_t partitions) : seen_(partitions), counts_(partitions) {}
  void note(std::uint32_t partition, Offset offset);
  std::uint64_t distinct(std::uint32_t partition) const;
  // Of all partitions together.
  std::uint64_t behind(const std::vector<std::atomic<Offset>>& ends) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::vector<bool>> seen_;
  std::vector<std::uint64_t> counts_;
};

class ConsumerWorker {
 public:
  ConsumerWorker(Stage& stage, ConsumerPlan plan, SubscriptionIndex subscription, ConsumerId id,
                 Progress& progress, std::uint64_t seed);
  ~ConsumerWorker();
  void stop();

 private:
  struct Settled {
    std::uint32_t partition;
    client::OffsetRange range;
  };
  void run();
  bool attach();
  void take(client::MessageBatch& batch);
  void answer(const client::MessageBatch& batch);
  void confirm();

  Stage& stage_;
  const ConsumerPlan plan_;
  const SubscriptionIndex subscription_;
  const ConsumerId id_;
  Progress& progress_;
  std::mt19937_64 random_;
  std::optional<client::Client> client_;
  std::optional<client::Consumer> consumer_;
  std::vector<Settled> unconfirmed_;
  std::uint64_t refused_ = 0;  // messages, of ConsumerStats
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace andyx::test::fault
