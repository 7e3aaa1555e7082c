// A producer at work, at a steady pace, that writes down what it sent and what it was told. Errors
// do not end it: it opens again, as another producer of the history. A thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "andyx/client.h"
#include "tests/fault/history/history.h"

namespace andyx::test::fault {

struct ProducerPlan {
  std::string name;  // empty: anonymous
  client::ProducerInstance instance = client::ProducerInstance::kMultiple;
  client::Acks acks = client::Acks::kQuorum;
  client::Compression compression = client::Compression::kNone;
  std::optional<std::uint32_t> partition;  // fixed; else by key, else round robin
  bool keyed = false;
  std::uint32_t linger_ms = 0;
  std::uint32_t every_ms = 10;            // one message
  std::uint32_t max_payload_bytes = 200;  // its size is random up to this
  std::uint32_t max_in_flight = 500;      // then it waits
};

// Shared by all of a workload; outlives its workers.
struct Stage {
  Stage(History& of_run, std::vector<std::string> all_servers, std::string topic_name)
      : history(of_run),
        servers(std::move(all_servers)),
        topic(std::move(topic_name)),
        last_commit_ms(of_run.cast().partitions),
        acknowledged_ends(of_run.cast().partitions),
        far_behind(of_run.cast().subscriptions.size()) {}

  History& history;
  const std::vector<std::string> servers;
  const std::string topic;
  std::atomic<std::uint32_t> producers{0};                 // opened so far; the ids of the history
  std::vector<std::atomic<std::uint32_t>> last_commit_ms;  // by partition, in the history's time
  std::vector<std::atomic<Offset>> acknowledged_ends;      // by partition

  // By subscription. Producers take their time meanwhile: one that gets a message at a time would
  // be done long after the last fault.
  std::vector<std::atomic<bool>> far_behind;

  void committed(std::uint32_t partition, Offset offset);  // any thread
  bool somebody_is_far_behind() const;
};

class ProducerWorker {
 public:
  ProducerWorker(Stage& stage, ProducerPlan plan, std::uint64_t seed);
  ~ProducerWorker();

  void wind_down() { stopping_ = true; }  // no more sends; does not wait
  void stop();  // likewise; waits until all is answered, within the client's patience
  std::uint64_t sent() const { return sent_; }

 private:
  // Lives as long as a callback may come.
  struct Session {
    Stage& stage;
    std::uint32_t id = 0;
    std::atomic<std::uint32_t> in_flight{0};
    std::atomic<bool> broken{false};  // it has been told something that no retry cures
  };

  void run();
  bool open();
  void send_one();
  void pause(std::uint32_t ms) const;
  static void answered(Session& session, MessageId id, const client::SendOutcome& outcome);

  Stage& stage_;
  const ProducerPlan plan_;
  std::mt19937_64 random_;
  std::optional<client::Client> client_;
  std::optional<client::Producer> producer_;
  std::shared_ptr<Session> session_;
  std::uint32_t sequence_ = 0;
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace andyx::test::fault
