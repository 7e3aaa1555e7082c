// One producer of a workload: stamps each message, says to which partition it goes, and measures
// how long after it was due it was acknowledged. Sending is of one thread (its LoadSender's);
// answers come on the client's thread; the counts may be read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "andyx/client.h"
#include "tools/bench/workload/due_queue.h"
#include "tools/bench/workload/payloads.h"
#include "tools/bench/workload/recorder.h"

namespace andyx::bench {

class LoadProducer {
 public:
  struct Setup {
    std::string topic;
    std::uint32_t topic_index = 0;
    std::uint32_t producer_index = 0;  // within the topic
    std::uint32_t run = 0;
    KeyDistributor key_distributor = KeyDistributor::kNoKey;
    client::ProducerOptions options;  // topic and callback are set here
  };

  // `client` and `payloads` outlive the producer.
  static Result<std::unique_ptr<LoadProducer>> open(client::Client& client,
                                                    const Payloads& payloads, Setup setup);

  // Sends the next message. Blocks while the client's buffer is full.
  Status send(std::uint64_t due_ns);
  // Waits until every message is answered.
  Status flush() { return producer_->flush(); }

  const std::string& topic() const { return setup_.topic; }
  std::uint32_t topic_index() const { return setup_.topic_index; }
  std::uint32_t producer_index() const { return setup_.producer_index; }
  std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
  std::uint64_t acked() const { return acked_.load(std::memory_order_relaxed); }
  std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }
  std::optional<Error> first_error() const;
  // From when it was due to its acknowledgement.
  Recorder& latency() { return latency_; }

  // Once everything is answered: messages acknowledged of each partition.
  std::vector<std::uint64_t> acked_by_partition() const;

 private:
  struct Lane {
    std::uint64_t next_sequence = 0;  // the sending thread
    DueQueue due;
    std::uint64_t acked = 0;  // the client's thread
  };

  LoadProducer(const Payloads& payloads, Setup setup);
  std::uint32_t choose_partition(const std::string* key);
  const std::string* choose_key();
  void on_batch(const client::BatchOutcome& outcome);

  const Payloads& payloads_;
  Setup setup_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // by partition
  std::vector<std::string> payload_copies_;   // stamped in place
  std::uint64_t index_ = 0;                   // of the next message
  std::uint64_t random_;
  std::int64_t wall_minus_monotonic_us_;
  std::atomic<std::uint64_t> sent_ = 0, acked_ = 0, failed_ = 0;
  Recorder latency_;
  mutable std::mutex error_mutex_;
  std::optional<Error> error_;
  std::optional<client::Producer> producer_;  // last: ends before what its callback uses
};

}  // namespace andyx::bench
