// One producer of a run: a connection of its own, and a thread (the caller's) that sends. The
// payload is prepared once; sending a message allocates nothing here.
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "andyx/client.h"
#include "tools/bench/histogram.h"
#include "tools/bench/options.h"

namespace andyx::bench {

// The first bytes of a payload of end-to-end.
struct Stamp {
  std::uint64_t sent_ns = 0;  // monotonic: when it was sent, or, with --rate, when it was due
  std::uint64_t run = 0;      // messages of other runs are not ours
};

class ProducerWorker {
 public:
  // `messages` 0: until stop() or the time is over. `stamped`: payloads start with a Stamp of run
  // `run`.
  struct Work {
    std::uint64_t messages = 0;  // 0: until `seconds` are over
    double seconds = 0;          // with `messages`: what is over first
    double rate = 0;             // messages/s; 0: no limit
    bool one_at_a_time = false;  // each is sent by the acknowledgement of the one before
    std::optional<std::uint64_t> run;
  };

  static Result<std::unique_ptr<ProducerWorker>> open(const Options& options, const Work& work);

  // Sends, then waits for every acknowledgement. Blocks; once.
  void run();
  void stop() { stopped_.store(true, std::memory_order_relaxed); }  // any thread
  // While held, nothing more is sent. Any thread.
  void hold(bool held) { held_.store(held, std::memory_order_relaxed); }

  std::uint64_t acked() const { return producer_->stats().messages_acked; }  // any thread

  // After run().
  std::uint32_t partitions() const { return producer_->partitions(); }
  std::uint64_t started_ns() const { return started_ns_; }
  std::uint64_t last_ack_ns() const { return last_ack_ns_; }
  std::uint64_t failed() const { return failed_; }
  const std::optional<Error>& error() const { return error_; }
  const Histogram& ack_latency() const { return ack_latency_; }

 private:
  ProducerWorker(const Options& options, const Work& work);
  Status connect(const Options& options);
  void on_batch(const client::BatchOutcome& outcome);
  Status send_all();
  Status send_one_at_a_time();
  Status send(std::uint64_t sent_ns);
  Status send_next();
  client::OutMessage message_of(std::uint64_t sent_ns);
  bool time_is_over(std::uint64_t now_ns) const;

  Work work_;
  std::string payload_;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> held_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t started_ns_ = 0;
  std::int64_t wall_minus_monotonic_us_ = 0;
  std::optional<Error> error_;

  // Written on the client's thread; read after run(), which waits for it.
  std::uint64_t last_ack_ns_ = 0;
  std::uint64_t failed_ = 0;
  Histogram ack_latency_;
  std::promise<Status> last_one_;  // one at a time: there is no next one

  // Last, so that they end before what their callbacks use.
  std::optional<client::Client> client_;
  std::optional<client::Producer> producer_;
};

}  // namespace andyx::bench
