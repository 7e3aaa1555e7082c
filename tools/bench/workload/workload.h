// A workload file of the OpenMessaging Benchmark (YAML). Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace andyx::bench {

enum class KeyDistributor : std::uint8_t {
  kNoKey,       // NO_KEY: partition after partition
  kRoundRobin,  // KEY_ROUND_ROBIN: a fixed set of keys, one after the other
  kRandom       // RANDOM_NANO: keys of that set at random
};

// Names and meanings as in the files; durations may be fractions of a minute here.
struct Workload {
  std::string name;
  std::uint32_t topics = 1;
  std::uint32_t partitions_per_topic = 1;
  KeyDistributor key_distributor = KeyDistributor::kNoKey;
  std::uint32_t message_bytes = 0;
  bool randomized_payloads = false;
  double random_bytes_ratio = 0;              // of a payload that is random; the rest is zeros
  std::uint32_t randomized_payload_pool = 0;  // how many different payloads
  std::string payload_file;
  std::uint32_t subscriptions_per_topic = 0;
  std::uint32_t producers_per_topic = 1;
  std::uint32_t consumers_per_subscription = 1;
  double producer_rate = 0;  // messages/s of all producers together; 0: the highest sustained
  double backlog_gb = 0;     // 10^9 bytes that consumers let wait before they begin
  double backlog_drain_ratio = 1;
  double test_minutes = 0;
  double warmup_minutes = 1;

  std::uint32_t total_producers() const { return topics * producers_per_topic; }
  std::uint32_t total_consumers() const {
    return topics * subscriptions_per_topic * consumers_per_subscription;
  }
};

// kBadArgument: not YAML, a key that is not known (the message names it and its line), a value out
// of its range.
Result<Workload> parse_workload(std::string_view yaml);
// The same from a file; kIo when it cannot be read.
Result<Workload> load_workload(const std::string& path);

}  // namespace andyx::bench
