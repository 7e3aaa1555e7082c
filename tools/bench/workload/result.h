// What a workload's run found. Values. Rates are of messages/s, latencies of nanoseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "tools/bench/histogram.h"
#include "tools/bench/workload/live_workload.h"
#include "tools/bench/workload/machine.h"
#include "tools/bench/workload/processes.h"
#include "tools/bench/workload/workload.h"

namespace andyx::bench {

struct LatencySummary {
  double mean_ns = 0;
  std::uint64_t p50_ns = 0, p75_ns = 0, p95_ns = 0, p99_ns = 0, p999_ns = 0, p9999_ns = 0;
  std::uint64_t max_ns = 0;
};
LatencySummary summarize(const Histogram& histogram);

// A second, usually, of the measured time.
struct Period {
  double end_s = 0;  // since the measured time began
  double publish_rate = 0, publish_error_rate = 0, consume_rate = 0;
  std::uint64_t backlog = 0;  // at its end
  LatencySummary publish, delay, end_to_end;
  // Of the server: cores busy, memory at its end, bytes/s written. Empty: not seen.
  std::optional<double> cpu_cores;
  std::optional<std::uint64_t> rss_bytes;
  std::optional<double> written_bytes_per_s;
};

// Of the server's processes, from the start of the measured time until they came to rest after it.
struct ServerUse {
  std::vector<pid_t> pids;
  double seconds = 0;
  double cpu_s = 0;
  std::uint64_t rss_bytes = 0, rss_peak_bytes = 0;
  std::optional<std::uint64_t> written_bytes;
};

struct BacklogUse {
  std::uint64_t built_messages = 0;
  double built_s = 0, drain_s = 0;
  bool drained = false;
};

struct WorkloadResult {
  Workload workload;
  std::string started_at;  // UTC
  // What was asked of the server, and what it says of itself.
  std::string acks, compression, subscription_type, subscription_mode;
  std::uint64_t batch_bytes = 0;
  std::uint32_t linger_ms = 0, replication_factor = 0;
  std::optional<bool> fsync;
  std::string server_version;
  std::uint32_t nodes = 0;
  bool same_host = false;  // the load ran where the server does
  std::string payload_origin;
  std::size_t connections = 0, sending_threads = 0;
  Machine machine;

  bool closed_loop = false;
  double rate = 0;                               // asked for, or found; 0: closed loop
  std::optional<bool> sustained;                 // open loop: whether the rate was held
  std::optional<double> highest_sustained_rate;  // when it was sought
  double warmup_s = 0, elapsed_s = 0;
  std::vector<Period> periods;
  Histogram publish, delay, end_to_end;  // of all clients, over the measured time
  // Of the measured time, and until everything was answered and received.
  std::uint64_t messages_acked = 0, messages_received = 0, messages_failed = 0;
  LoadChecks checks;
  std::optional<ServerUse> server;
  std::optional<BacklogUse> backlog;
  std::optional<Error> error;  // the first one
  bool interrupted = false;

  std::uint64_t payload_bytes() const { return messages_acked * workload.message_bytes; }
  double average_publish_rate() const;
  double average_consume_rate() const;
};

// JSON with the field names and units of the OpenMessaging Benchmark's results, and what else is
// needed to judge them; one object, indented, LF at the end.
std::string to_json(const WorkloadResult& result);
std::string to_text(const WorkloadResult& result);

}  // namespace andyx::bench
