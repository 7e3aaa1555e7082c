// The command line of andyx-bench, parsed. Values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "andyx/types.h"
#include "tools/common/exit_status.h"

namespace andyx::bench {

enum class BenchCommand : std::uint8_t {
  kLimit,
  kProduce,
  kConsume,
  kEndToEnd,
  kIdle,
  kSubscriptions,
  kRun,
  kPlot
};

enum class SuitePart : std::uint8_t { kShared, kManySubscriptions, kManyPartitions, kBacklog };

// Of `subscriptions`, besides `size_bytes`.
struct SuiteOptions {
  std::uint64_t messages = 2'000'000;  // of each run
  std::uint32_t subscriptions = 1'000;
  std::uint32_t partitions = 10'000;
  std::uint64_t backlog_bytes = 1u << 30;  // of payloads
  std::vector<SuitePart> parts = {SuitePart::kShared, SuitePart::kManySubscriptions,
                                  SuitePart::kManyPartitions, SuitePart::kBacklog};
};

// Of `run`, besides what producing takes. What is given here wins over the file.
struct WorkloadOptions {
  std::string file;
  std::optional<double> rate;  // messages/s; 0: the highest sustained
  bool closed_loop = false;    // the next message as soon as the client takes it
  std::optional<double> warmup_s;
  double search_seconds = 5;                     // how long each rate is tried
  std::uint32_t replication_factor = 0;          // of the topics; 0: as the server decides
  std::optional<client::SubscriptionType> type;  // empty: unique, or failover for several consumers
  std::uint32_t connections = 0;   // of producers, and as many of consumers; 0: up to 8
  std::uint32_t threads = 0;       // that send; 0: one for each core
  std::vector<pid_t> server_pids;  // empty: found by the ports of the nodes
};

struct PlotOptions {
  std::string out_file;
  std::vector<std::string> files;  // reports of `run --json`
};

struct Options {
  BenchCommand command = BenchCommand::kLimit;
  std::string server;
  std::uint32_t timeout_ms = 30'000;  // without any progress
  std::string topic;
  std::uint64_t messages = 0;      // 0: by `seconds`
  std::optional<double> seconds;   // with `messages`: what is over first
  std::uint64_t size_bytes = 100;  // of a payload
  std::uint32_t producers = 1;     // each with a connection and threads of its own
  std::uint32_t consumers = 1;
  bool loopback_only = false;          // of limit
  std::uint32_t connections = 10'000;  // of idle
  bool one_at_a_time = false;  // each message waits for the acknowledgement of the one before
  std::uint64_t rate = 0;      // messages/s of all producers together; 0: as fast as possible
  client::Acks acks = client::Acks::kMain;
  client::Compression compression = client::Compression::kNone;
  std::uint64_t batch_bytes = 64 * 1024;
  std::uint32_t linger_ms = 2;
  std::uint64_t buffer_bytes = 32 * 1024 * 1024;  // of a producer: not yet answered
  std::uint32_t partitions = 4;          // of a topic that is created because it is missing
  std::uint32_t replication_factor = 0;  // likewise; 0: as the server decides
  std::string subscription;              // empty: one of its own, deleted at the end
  client::SubscriptionType type = client::SubscriptionType::kUnique;
  client::SubscriptionMode mode = client::SubscriptionMode::kNonresilient;
  std::string json_file;  // empty: none; "-": stdout, instead of the text
  // limit, and the comparison with it.
  std::string directory = ".";
  std::uint64_t window_bytes = 0;      // 0: what a producer has in flight
  std::string limit_file;              // a report of `limit --json`
  std::string limit_directory;         // run limit there, before and after
  std::optional<double> write_factor;  // of limit: bytes to the disk for each byte of payload
  SuiteOptions suite;
  WorkloadOptions workload;
  PlotOptions plot;

  double seconds_or_default() const {
    return seconds.value_or(messages == 0 ? 10 : std::numeric_limits<double>::infinity());
  }
};

// Prints help and version to stdout, what is wrong to stderr; then the status says how to exit.
std::variant<Options, tools::ExitStatus> parse_options(int argc, const char* const* argv);

}  // namespace andyx::bench
