// The load of one workload on a running cluster: its topics (made here, deleted at the end), their
// subscriptions, producers and consumers. One thread, which starts others for sending and
// receiving.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "andyx/client.h"
#include "tools/bench/options.h"
#include "tools/bench/workload/load_consumer.h"
#include "tools/bench/workload/load_producer.h"
#include "tools/bench/workload/load_sender.h"
#include "tools/bench/workload/workload.h"

namespace andyx::bench {

struct LoadCounts {
  std::uint64_t sent = 0, acked = 0, failed = 0;
  std::uint64_t received = 0;  // by all subscriptions
  // Acknowledged and not received, of all subscriptions together.
  std::uint64_t backlog(std::uint32_t subscriptions) const;
};

// What became of the messages that were acknowledged, over all subscriptions. Unless it is checked,
// a message that is missing and one that came twice hide each other.
struct LoadChecks {
  bool checked = false;  // by sequence: payloads had room for one
  std::uint64_t lost = 0, duplicates = 0, reordered = 0, foreign = 0;
};

class LiveWorkload {
 public:
  // Makes the topics, waits until every copy is in sync, subscribes, opens the producers. Nothing
  // is sent yet. `directory`: of the workload file.
  static Result<std::unique_ptr<LiveWorkload>> create(const Options& options,
                                                      const Workload& workload,
                                                      const std::string& directory,
                                                      client::Client& control);
  ~LiveWorkload();  // stops, deletes the topics; stderr says what was left
  LiveWorkload(const LiveWorkload&) = delete;
  LiveWorkload& operator=(const LiveWorkload&) = delete;

  void set_rate(double messages_per_s);  // of all producers; LoadSender::kClosedLoop, or 0
  void pause_consumers(bool paused);
  LoadCounts counts() const;
  // Adds what was measured since the last call.
  void take_latencies(Histogram& publish, Histogram& delay, Histogram& end_to_end);
  std::optional<Error> error() const;  // the first that ended something

  Status stop_sending();  // waits until everything sent is answered
  void stop_consuming();  // waits until every answer is confirmed
  LoadChecks checks();    // after both

  std::uint32_t replication_factor() const { return replication_factor_; }
  const std::string& payload_origin() const { return payloads_.origin; }
  std::size_t connections() const { return producer_clients_.size() + consumer_clients_.size(); }
  std::size_t sending_threads() const { return senders_.size(); }

 private:
  LiveWorkload(const Options& options, const Workload& workload, client::Client& control);
  Status make_topics();
  Status wait_in_sync(const std::string& topic);
  Status open_clients();
  Status open_consumers();
  Status open_producers();
  client::ConsumerOptions consumer_options(std::uint32_t topic, std::uint32_t subscription) const;

  const Options& options_;
  const Workload& workload_;
  client::Client& control_;
  std::uint32_t run_;
  std::vector<std::string> topics_;
  std::uint32_t replication_factor_ = 0;
  Payloads payloads_;
  // By topic and subscription; outlive the consumers.
  std::vector<std::unique_ptr<SubscriptionCheck>> checks_;
  std::vector<client::Client> producer_clients_, consumer_clients_;
  std::vector<std::unique_ptr<LoadConsumer>> consumers_;
  std::vector<std::unique_ptr<LoadProducer>> producers_;
  std::vector<std::unique_ptr<LoadSender>> senders_;
};

}  // namespace andyx::bench
