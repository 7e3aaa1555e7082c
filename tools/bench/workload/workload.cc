#include "tools/bench/workload/workload.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "protocol/base/limits.h"

namespace andyx::bench {
namespace {

constexpr std::uint32_t kMaxTopics = 1'000;
constexpr std::uint32_t kMaxProducers = 10'000;
constexpr std::uint32_t kMaxConsumers = 1'000;  // each has a thread
constexpr std::uint32_t kMaxPool = 100'000;
constexpr std::uint64_t kMaxPoolBytes = 1u << 30;
constexpr double kMaxMinutes = 7 * 24 * 60;
constexpr std::uintmax_t kMaxFileBytes = 1u << 20;

using Set = std::function<Status(const YAML::Node& value, const std::string& key)>;
using Keys = std::map<std::string, Set, std::less<>>;

std::unexpected<Error> bad(const YAML::Mark& mark, const std::string& what) {
  return fail(ErrorCode::kBadArgument, "line " + std::to_string(mark.line + 1) + ": " + what);
}

// A number from `least` to `most`; whole where Number is an integer.
template <typename Number>
Set number(Number& target, double least, double most) {
  return [&target, least, most](const YAML::Node& node, const std::string& key) -> Status {
    double value = 0;
    const bool is_number = node.IsScalar() && YAML::convert<double>::decode(node, value);
    const bool fits = is_number && std::isfinite(value) && value >= least && value <= most &&
                      (std::is_floating_point_v<Number> || value == std::floor(value));
    if (!fits) {
      std::ostringstream range;
      range.precision(12);
      range << key << " should be a " << (std::is_floating_point_v<Number> ? "" : "whole ")
            << "number from " << least << " to " << most;
      return bad(node.Mark(), range.str());
    }
    target = static_cast<Number>(value);
    return {};
  };
}

Set text(std::string& target) {
  return [&target](const YAML::Node& node, const std::string& key) -> Status {
    if (node.IsNull()) return {};
    if (!node.IsScalar()) return bad(node.Mark(), key + " should be a text");
    target = node.Scalar();
    return {};
  };
}

Set flag(bool& target) {
  return [&target](const YAML::Node& node, const std::string& key) -> Status {
    if (node.IsScalar() && YAML::convert<bool>::decode(node, target)) return {};
    return bad(node.Mark(), key + " should be true or false");
  };
}

Set distributor(KeyDistributor& target) {
  return [&target](const YAML::Node& node, const std::string& key) -> Status {
    const std::string word = node.IsScalar() ? node.Scalar() : "";
    if (word == "NO_KEY") {
      target = KeyDistributor::kNoKey;
    } else if (word == "KEY_ROUND_ROBIN") {
      target = KeyDistributor::kRoundRobin;
    } else if (word == "RANDOM_NANO") {
      target = KeyDistributor::kRandom;
    } else {
      return bad(node.Mark(), key + " should be NO_KEY, KEY_ROUND_ROBIN or RANDOM_NANO");
    }
    return {};
  };
}

Keys keys_of(Workload& w) {
  return {
      {"name", text(w.name)},
      {"topics", number(w.topics, 1, kMaxTopics)},
      {"partitionsPerTopic", number(w.partitions_per_topic, 1, limits::kMaxPartitionsPerTopic)},
      {"keyDistributor", distributor(w.key_distributor)},
      {"messageSize", number(w.message_bytes, 1, limits::kMaxMessageBytes)},
      {"useRandomizedPayloads", flag(w.randomized_payloads)},
      {"randomBytesRatio", number(w.random_bytes_ratio, 0, 1)},
      {"randomizedPayloadPoolSize", number(w.randomized_payload_pool, 0, kMaxPool)},
      {"payloadFile", text(w.payload_file)},
      {"subscriptionsPerTopic", number(w.subscriptions_per_topic, 0, kMaxConsumers)},
      {"producersPerTopic", number(w.producers_per_topic, 1, kMaxProducers)},
      {"consumerPerSubscription", number(w.consumers_per_subscription, 1, kMaxConsumers)},
      {"producerRate", number(w.producer_rate, 0, 1e9)},
      {"consumerBacklogSizeGB", number(w.backlog_gb, 0, 1e6)},
      {"backlogDrainRatio", number(w.backlog_drain_ratio, 0, 1)},
      {"testDurationMinutes", number(w.test_minutes, 0, kMaxMinutes)},
      {"warmupDurationMinutes", number(w.warmup_minutes, 0, kMaxMinutes)},
  };
}

std::string names_of(const Keys& keys) {
  std::string names;
  for (const auto& [name, set] : keys) names += (names.empty() ? "" : ", ") + name;
  return names;
}

// What no single key can say.
Status check(const Workload& w) {
  const auto fails = [](const std::string& what) { return fail(ErrorCode::kBadArgument, what); };
  if (w.message_bytes == 0) return fails("messageSize is missing");
  if (w.test_minutes <= 0) return fails("testDurationMinutes is missing, or 0");
  const auto product = [](std::uint64_t a, std::uint64_t b, std::uint64_t c) { return a * b * c; };
  if (product(w.topics, w.producers_per_topic, 1) > kMaxProducers) {
    return fails("topics × producersPerTopic is over " + std::to_string(kMaxProducers));
  }
  if (product(w.topics, w.subscriptions_per_topic, w.consumers_per_subscription) > kMaxConsumers) {
    return fails("topics × subscriptionsPerTopic × consumerPerSubscription is over " +
                 std::to_string(kMaxConsumers));
  }
  if (std::uint64_t{w.randomized_payload_pool} * w.message_bytes > kMaxPoolBytes) {
    return fails("randomizedPayloadPoolSize × messageSize is over 1 GiB");
  }
  if (w.backlog_gb > 0 && w.producer_rate == 0) {
    return fails("consumerBacklogSizeGB needs a producerRate: no rate is sought beside a backlog");
  }
  if (w.backlog_gb > 0 && w.subscriptions_per_topic == 0) {
    return fails("consumerBacklogSizeGB needs a subscription");
  }
  return {};
}

Result<Workload> read(const YAML::Node& root) {
  if (!root.IsMap()) return fail(ErrorCode::kBadArgument, "a workload is a map of keys and values");
  Workload workload;
  const Keys keys = keys_of(workload);
  for (const auto& entry : root) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const auto known = keys.find(key);
    if (known == keys.end()) {
      return bad(entry.first.Mark(),
                 "the key '" + key + "' is not known; known are: " + names_of(keys));
    }
    if (Status set = known->second(entry.second, key); !set) return std::unexpected(set.error());
  }
  if (Status valid = check(workload); !valid) return std::unexpected(valid.error());
  return workload;
}

}  // namespace

Result<Workload> parse_workload(std::string_view yaml) {
  try {
    return read(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& error) {  // does not leave this file
    return fail(ErrorCode::kBadArgument, std::string("not YAML: ") + error.what());
  }
}

Result<Workload> load_workload(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string yaml(kMaxFileBytes + 1, '\0');
  if (file) file.read(yaml.data(), static_cast<std::streamsize>(yaml.size()));
  if (file.bad() || !file.is_open()) {
    return fail(ErrorCode::kIo, "cannot read the workload '" + path + "'");
  }
  yaml.resize(static_cast<std::size_t>(file.gcount()));
  if (yaml.size() > kMaxFileBytes) {
    return fail(ErrorCode::kBadArgument, "'" + path + "' is too large for a workload");
  }
  Result<Workload> workload = parse_workload(yaml);
  if (!workload) {
    return fail(workload.error().code, "'" + path + "': " + workload.error().message);
  }
  if (workload->name.empty()) workload->name = path;
  return workload;
}

}  // namespace andyx::bench
