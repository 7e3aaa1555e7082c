// One consumer of a workload: a thread that takes whole deliveries, looks at each message, checks
// its sequence and acknowledges. While paused it takes nothing, and the server sends no more than
// its credit.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "andyx/client.h"
#include "tools/bench/workload/payloads.h"
#include "tools/bench/workload/recorder.h"
#include "tools/bench/workload/sequence_check.h"

namespace andyx::bench {

// What the consumers of one subscription know together: every message they got.
class SubscriptionCheck {
 public:
  SubscriptionCheck(std::uint32_t partitions, std::uint32_t producers);

  // The partition's checks, by producer, for as long as the lock is held.
  struct Locked {
    std::unique_lock<std::mutex> lock;
    std::vector<SequenceCheck>& producers;
  };
  Locked partition(std::uint32_t index);
  std::uint32_t partitions() const { return static_cast<std::uint32_t>(partitions_.size()); }

 private:
  struct Partition {
    std::mutex mutex;
    std::vector<SequenceCheck> producers;
  };
  std::vector<std::unique_ptr<Partition>> partitions_;
};

class LoadConsumer {
 public:
  // Starts its thread. `client` and `check` outlive it; `check` null: sequences are not checked, as
  // payloads have no room for a stamp.
  static Result<std::unique_ptr<LoadConsumer>> open(client::Client& client,
                                                    client::ConsumerOptions options,
                                                    std::uint32_t run, SubscriptionCheck* check);
  ~LoadConsumer() { stop(); }

  void pause(bool paused) { paused_ = paused; }  // any thread
  // Ends the thread; waits until every answer is confirmed. Idempotent.
  void stop();

  std::uint64_t received() const { return received_.load(std::memory_order_relaxed); }
  std::uint64_t foreign() const { return foreign_.load(std::memory_order_relaxed); }
  // From when a message was due to its receipt.
  Recorder& latency() { return latency_; }
  std::optional<Error> error() const;

 private:
  LoadConsumer(client::Consumer consumer, std::uint32_t run, SubscriptionCheck* check);
  void run();
  Status consume();
  Status take(client::MessageBatch& batch);

  client::Consumer consumer_;
  std::uint32_t run_;
  SubscriptionCheck* check_;
  std::int64_t wall_minus_monotonic_us_;
  std::atomic<bool> stopped_ = false, paused_ = false;
  std::atomic<std::uint64_t> received_ = 0;
  std::atomic<std::uint64_t> foreign_ = 0;  // messages that no producer of this run sent
  Recorder latency_;
  mutable std::mutex error_mutex_;
  std::optional<Error> error_;
  std::thread thread_;
};

}  // namespace andyx::bench
