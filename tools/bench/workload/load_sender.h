// A thread that sends the messages of several producers, in turn, at a rate or as fast as it can.
// The rate may be changed, and sending be paused, by any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "tools/bench/workload/load_producer.h"

namespace andyx::bench {

class LoadSender {
 public:
  static constexpr double kClosedLoop = 1e300;  // the next one as soon as the client takes it

  explicit LoadSender(std::vector<LoadProducer*> producers);
  ~LoadSender() { stop(); }
  LoadSender(const LoadSender&) = delete;
  LoadSender& operator=(const LoadSender&) = delete;

  // Messages/s from now on; what was due before is forgotten. 0: none.
  void set_rate(double rate);
  // Ends the thread, once the message under way is sent. Idempotent.
  void stop();

  std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
  // From when a message was due to when it was handed to the client.
  Recorder& delay() { return delay_; }
  std::optional<Error> error() const;  // why it stopped by itself

 private:
  void run();
  Status send_for_a_while(double rate);
  Status send_next(std::uint64_t due_ns);

  std::vector<LoadProducer*> producers_;
  std::size_t turn_ = 0;
  std::atomic<double> rate_ = 0;
  std::atomic<std::uint32_t> generation_ = 0;  // of the rate
  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> sent_ = 0;
  Recorder delay_;
  mutable std::mutex error_mutex_;
  std::optional<Error> error_;
  std::thread thread_;
};

}  // namespace andyx::bench
