// Everything that works on the topic while faults come: producers of several kinds, subscriptions
// of several types, a reader through every node. One thread makes, asks and stops it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/fault/workload/consumer_worker.h"
#include "tests/fault/workload/producer_worker.h"
#include "tests/fault/workload/reader_worker.h"

namespace andyx::test::fault {

struct WorkloadOptions {
  std::vector<std::string> servers;  // of every node, as clients know them
  std::string topic;
  std::uint32_t partitions = 3;
  client::Acks acks = client::Acks::kQuorum;
  bool light = false;  // few producers and subscriptions, for a topic beside the one that matters
};

// Who will take part: to make the history with.
Cast cast_of(const WorkloadOptions& options);

class Workload {
 public:
  Workload(History& history, WorkloadOptions options, std::uint64_t seed);

  // Has every partition committed a write that came after this time of the history?
  bool committed_since(std::uint32_t time_ms) const;
  // By partition: behind the last offset that was acknowledged.
  std::vector<Offset> acknowledged_ends() const;

  void stop_producers();
  // Through the node of this index; REQUIREs nothing: false where it fails.
  bool read_to_the_end(std::size_t node);
  // Has every subscription got everything that the last read_to_the_end() saw?
  bool all_delivered() const { return undelivered() == 0; }
  std::uint64_t undelivered() const;
  std::string missing_deliveries() const;
  const std::vector<Offset>& ends() const { return ends_; }  // of the last read_to_the_end()
  void stop();

 private:
  struct Subscription {
    ConsumerPlan plan;
    std::unique_ptr<Progress> progress;
  };
  void add_producers(std::uint64_t& seed);
  void add_consumers(std::uint64_t& seed);

  const WorkloadOptions options_;
  Stage stage_;
  std::vector<Subscription> subscriptions_;
  std::vector<Offset> ends_;  // by partition
  std::deque<ProducerWorker> producers_;
  std::deque<ConsumerWorker> consumers_;
  std::deque<ReaderWorker> readers_;
};

}  // namespace andyx::test::fault
