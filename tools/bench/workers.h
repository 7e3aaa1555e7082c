// Runs workers on threads of their own and shows progress meanwhile. Used by one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tools/bench/consumer_worker.h"
#include "tools/bench/producer_worker.h"
#include "tools/bench/report.h"
#include "tools/bench/run.h"
#include "tools/common/progress.h"

namespace andyx::bench {

using Producers = std::vector<std::unique_ptr<ProducerWorker>>;
using Consumers = std::vector<std::unique_ptr<ConsumerWorker>>;

// Threads that run something to its end; joined at the latest by the destructor.
class Threads {
 public:
  template <typename Worker>
  void start(const std::vector<std::unique_ptr<Worker>>& workers) {
    running_ += workers.size();
    for (const auto& worker : workers) {
      threads_.emplace_back([this, &worker = *worker] {
        worker.run();
        --running_;
      });
    }
  }
  // Until all have ended; calls `each_turn` about fifty times a second.
  void wait(const std::function<void()>& each_turn) {
    while (running_ != 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      each_turn();
    }
    threads_.clear();
  }

 private:
  std::atomic<std::size_t> running_ = 0;
  std::vector<std::jthread> threads_;
};

// Makes sure that the topic is there; gives its number of partitions.
Result<std::uint32_t> ensure_topic(const Options& options, client::Client& control);

// options.producers of them, which share options.messages or each run for options.seconds.
Result<Producers> open_producers(const Options& options, std::optional<std::uint64_t> run);
std::uint64_t total_acked(const Producers& producers);
// Adds what ended producers did to the report; the first error goes to `result.error`.
void add_producers(RunResult& result, const Producers& producers, const Options& options);

// A subscription for this run, unless one was named; its destructor deletes the former.
class RunSubscription {
 public:
  RunSubscription(const Options& options, client::Client& control, std::uint64_t run);
  ~RunSubscription();
  RunSubscription(const RunSubscription&) = delete;
  RunSubscription& operator=(const RunSubscription&) = delete;

  const std::string& name() const { return name_; }

 private:
  client::Client& control_;
  std::string topic_;
  std::string name_;
  bool own_;
};

Result<Consumers> open_consumers(const Options& options, const std::string& subscription,
                                 client::Start start, ConsumeGoal& goal,
                                 std::optional<std::uint64_t> run);
void add_consumers(RunResult& result, const Consumers& consumers, const ConsumeGoal& goal);

std::uint64_t random_run_id();
std::optional<bool> server_fsync(client::Client& control);

}  // namespace andyx::bench
