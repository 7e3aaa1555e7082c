// The sending side of `limit`: batches over a connected socket, and cumulative acknowledgements
// (u64, bytes) coming back. As fast as the window allows; or at a rate, each message counted from
// when it was due, so that a stall counts for all that had to wait for it.
//
// run() is a thread of its own; the rest is for after it.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "tools/bench/limit.h"
#include "tools/bench/workload/pacer.h"

namespace andyx::bench {

class LimitSender {
 public:
  // `options` outlive it.
  LimitSender(int fd, const LimitOptions& options);

  void run();  // shuts the sending side of the socket down at the end

  const Status& status() const { return status_; }
  std::uint64_t acked_bytes() const { return acked_bytes_; }
  const Histogram& latency() const { return latency_; }
  double elapsed_s() const { return static_cast<double>(finished_ns_ - started_ns_) / 1e9; }

 private:
  struct InFlight {
    std::uint64_t end_bytes;  // of all that was sent with this batch
    std::uint64_t sent_ns;
  };

  bool more() const;
  Status send_batches();
  Status send_at_rate();
  Status send_batch();
  Status wait_acked(std::uint64_t bytes);  // until at least so many are covered
  Status receive_acks();                   // what has come; waits for the first of it
  Status receive_acks_until(std::uint64_t time_ns);
  void add_latencies(std::uint64_t now_ns);
  bool one_in_flight() const { return 2 * batch_.size() > options_.window_bytes; }

  const int fd_;
  const LimitOptions& options_;
  const std::uint64_t messages_in_batch_;
  std::vector<std::uint8_t> batch_;
  std::uint8_t partial_[1024];
  std::size_t partial_size_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t acked_bytes_ = 0;
  std::deque<InFlight> in_flight_;  // where latencies are wanted
  std::uint64_t timed_messages_ = 0;
  std::uint64_t started_ns_ = 0;
  std::uint64_t finished_ns_ = 0;
  Status status_;
  Histogram latency_;
};

}  // namespace andyx::bench
