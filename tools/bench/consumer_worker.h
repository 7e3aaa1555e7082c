// One consumer of a run: a connection of its own, and a thread (the caller's) that takes whole
// deliveries, looks at each message and acknowledges by ranges.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "andyx/client.h"
#include "tools/bench/histogram.h"
#include "tools/bench/options.h"

namespace andyx::bench {

// What the consumers of a run share. Any thread.
struct ConsumeGoal {
  std::atomic<std::uint64_t> wanted = ~std::uint64_t{0};  // may be lowered while they run
  std::atomic<std::uint64_t> consumed = 0;
  std::atomic<bool> stop = false;  // the time is over

  bool reached() const {
    return stop.load(std::memory_order_relaxed) ||
           consumed.load(std::memory_order_relaxed) >= wanted.load(std::memory_order_relaxed);
  }
};

class ConsumerWorker {
 public:
  // `run`: only messages with this run's Stamp count, and their latency is measured.
  static Result<std::unique_ptr<ConsumerWorker>> open(const Options& options,
                                                      const std::string& subscription,
                                                      client::Start start, ConsumeGoal& goal,
                                                      std::optional<std::uint64_t> run);

  // Consumes until the goal is reached, then waits until every answer is confirmed. Blocks; once.
  void run();

  // After run().
  std::uint64_t bytes() const { return bytes_; }  // of payloads
  std::uint64_t last_confirmed_ns() const { return last_confirmed_ns_; }
  const std::optional<Error>& error() const { return error_; }
  const Histogram& latency() const { return latency_; }

 private:
  ConsumerWorker(ConsumeGoal& goal, std::optional<std::uint64_t> run, std::uint32_t timeout_ms);
  Status connect(const Options& options, const std::string& subscription, client::Start start);
  Status consume();
  Status take(client::MessageBatch& batch);

  ConsumeGoal& goal_;
  std::optional<std::uint64_t> run_;
  std::uint32_t timeout_ms_;
  std::optional<client::Client> client_;
  std::optional<client::Consumer> consumer_;
  std::uint64_t bytes_ = 0;
  std::uint64_t last_confirmed_ns_ = 0;
  std::optional<Error> error_;
  Histogram latency_;
};

}  // namespace andyx::bench
