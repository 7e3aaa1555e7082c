// Where the parts of `andyx-bench subscriptions` take place: topics of their own, loads on them,
// and what the server says of its CPU and memory. One thread. SIGINT and SIGTERM end what is under
// way with kShuttingDown, so that topics are deleted; the second signal ends the program.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "andyx/client.h"
#include "tools/bench/options.h"
#include "tools/bench/suite_report.h"
#include "tools/bench/workers.h"
#include "tools/common/progress.h"
#include "tools/common/stop_signal.h"

namespace andyx::bench {

// A topic that goes with this object. Deleting may fail: then stderr says what was left.
class OwnTopic {
 public:
  OwnTopic(client::Client& control, std::string name);
  ~OwnTopic();
  OwnTopic(const OwnTopic&) = delete;
  OwnTopic& operator=(const OwnTopic&) = delete;

  const std::string& name() const { return name_; }

 private:
  client::Client& control_;
  std::string name_;
};

struct Drained {
  Load load;
  std::uint64_t rss_peak_bytes = 0;
};

class SuiteStage {
 public:
  SuiteStage(const Options& options, client::Client& control);

  bool stopped() const { return signal_.stopped(); }
  const Options& options() const { return options_; }
  client::Client& control() { return control_; }
  void say(const std::string& doing) { doing_ = doing; }  // shown on a terminal

  Result<std::unique_ptr<OwnTopic>> make_topic(const std::string& what, std::uint32_t partitions);
  // `count` of them, from latest, without consumers.
  Status create_idle_subscriptions(const OwnTopic& topic, std::uint32_t count);

  // Once the server has no work left (its CPU is nearly idle), at most ten seconds later: flushes
  // and compactions belong to the load that caused them.
  Result<client::NodeStatus> settle();

  // `messages` with one producer; fewer where they take longer than `most_s`.
  Result<Load> publish(const OwnTopic& topic, std::uint64_t messages,
                       std::optional<double> most_s = std::nullopt);
  // The same while `consumers` of a shared, nonresilient subscription receive and acknowledge them;
  // the producer waits for them so that they stay within the tail cache.
  Result<Load> publish_consumed(const OwnTopic& topic, std::uint64_t messages,
                                std::uint32_t consumers);
  // One consumer takes `messages` that wait in a unique, nonresilient subscription.
  Result<Drained> drain(const OwnTopic& topic, const std::string& subscription,
                        std::uint64_t messages);

 private:
  Options options_on(const OwnTopic& topic, std::uint64_t messages) const;
  Status outcome(const Producers& producers, const Consumers& consumers) const;
  Result<Load> with_cpu(Load load, std::uint64_t cpu_before_us);
  void show(std::uint64_t done);

  const Options& options_;
  client::Client& control_;
  tools::StopSignal signal_;
  tools::Progress progress_;
  std::string doing_;
  std::string name_;  // of topics, with the random suffix
};

}  // namespace andyx::bench
