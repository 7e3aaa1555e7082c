#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/bench/workload/result.h"

namespace andyx::bench {
namespace {

using Json = nlohmann::ordered_json;

// The benchmark's results have latencies in ms, but delays of publishing in whole µs.
enum class Unit { kMs, kUs };

Json in(Unit unit, double ns) {
  if (unit == Unit::kMs) return ns / 1e6;
  return static_cast<std::uint64_t>(std::llround(ns / 1e3));
}

struct Column {
  const char* suffix;
  std::uint64_t LatencySummary::* value;
};
constexpr Column kColumns[] = {
    {"50pct", &LatencySummary::p50_ns},   {"75pct", &LatencySummary::p75_ns},
    {"95pct", &LatencySummary::p95_ns},   {"99pct", &LatencySummary::p99_ns},
    {"999pct", &LatencySummary::p999_ns}, {"9999pct", &LatencySummary::p9999_ns},
    {"Max", &LatencySummary::max_ns},
};

// The mean is never rounded.
Json mean(Unit unit, double ns) { return unit == Unit::kMs ? ns / 1e6 : ns / 1e3; }

void add_series(Json& json, const std::string& name, Unit unit, const std::vector<Period>& periods,
                LatencySummary Period::* latency) {
  Json& means = json[name + "Avg"] = Json::array();
  for (const Period& period : periods) means.push_back(mean(unit, (period.*latency).mean_ns));
  for (const Column& column : kColumns) {
    Json& values = json[name + column.suffix] = Json::array();
    for (const Period& period : periods) {
      values.push_back(in(unit, static_cast<double>((period.*latency).*column.value)));
    }
  }
}

// 0, then ever closer to 100 %: each halving of the distance in ten steps, as far as there are
// values to tell them apart.
Json quantiles(Unit unit, const Histogram& histogram) {
  Json json = Json::object();
  if (histogram.count() == 0) return json;
  constexpr int kSteps = 10;
  const auto put = [&](double percentile, double ns) {
    char key[32];
    std::snprintf(key, sizeof key, "%.9g", percentile);
    json[key] = in(unit, ns);
  };
  double distance = 100;
  while (distance / 100 * static_cast<double>(histogram.count()) >= 1) {
    for (int step = 0; step < kSteps; ++step) {
      const double percentile = 100 - distance + distance / 2 * step / kSteps;
      put(percentile, static_cast<double>(histogram.quantile_ns(percentile / 100)));
    }
    distance /= 2;
  }
  put(100, static_cast<double>(histogram.max_ns()));
  return json;
}

void add_aggregate(Json& json, const std::string& name, Unit unit, const Histogram& histogram) {
  const LatencySummary summary = summarize(histogram);
  json[name + "Avg"] = mean(unit, summary.mean_ns);
  for (const Column& column : kColumns) {
    json[name + column.suffix] = in(unit, static_cast<double>(summary.*column.value));
  }
  json[name + "Quantiles"] = quantiles(unit, histogram);
}

template <typename Member>
void add_rates(Json& json, const char* name, const std::vector<Period>& periods, Member member) {
  Json& values = json[name] = Json::array();
  for (const Period& period : periods) values.push_back(period.*member);
}

template <typename Value>
void add_seen(Json& json, const char* name, const std::vector<Period>& periods,
              std::optional<Value> Period::* member) {
  const bool seen = std::ranges::any_of(
      periods, [member](const Period& period) { return (period.*member).has_value(); });
  if (!seen) return;
  Json& values = json[name] = Json::array();
  for (const Period& period : periods) {
    values.push_back(period.*member ? Json(*(period.*member)) : Json());
  }
}

Json server_json(const WorkloadResult& result) {
  if (!result.server) return {};
  const ServerUse& server = *result.server;
  Json json{{"pids", server.pids},
            {"seconds", server.seconds},
            {"cpuSeconds", server.cpu_s},
            {"rssBytes", server.rss_bytes},
            {"rssPeakBytes", server.rss_peak_bytes}};
  if (result.messages_acked > 0) {
    json["cpuMicrosPerMessage"] = server.cpu_s * 1e6 / static_cast<double>(result.messages_acked);
  }
  if (server.written_bytes) {
    json["bytesWritten"] = *server.written_bytes;
    if (result.payload_bytes() > 0) {
      json["bytesWrittenPerPayloadByte"] =
          static_cast<double>(*server.written_bytes) / static_cast<double>(result.payload_bytes());
    }
  }
  return json;
}

Json machine_json(const Machine& machine) {
  return {{"cpu", machine.cpu},
          {"cores", machine.cores},
          {"memoryBytes", machine.memory_bytes},
          {"kernel", machine.kernel},
          {"loadAverageAtStart", machine.load_average}};
}

// What the benchmark's results do not have: how the run was made, and what else was found.
void add_own(Json& json, const WorkloadResult& result) {
  json["version"] = ANDYX_VERSION;
  json["serverVersion"] = result.server_version;
  json["startedAt"] = result.started_at;
  json["nodes"] = result.nodes;
  json["replicationFactor"] = result.replication_factor;
  json["acks"] = result.acks;
  json["fsync"] = result.fsync ? Json(*result.fsync) : Json();
  json["batchBytes"] = result.batch_bytes;
  json["lingerMs"] = result.linger_ms;
  json["compression"] = result.compression;
  json["subscriptionType"] = result.subscription_type;
  json["subscriptionMode"] = result.subscription_mode;
  json["subscriptionsPerTopic"] = result.workload.subscriptions_per_topic;
  json["payload"] = result.payload_origin;
  json["connections"] = result.connections;
  json["sendingThreads"] = result.sending_threads;
  json["clientsOnServerHost"] = result.same_host;
  json["machine"] = machine_json(result.machine);
  json["loop"] = result.closed_loop ? "closed" : "open";
  json["targetRate"] = result.closed_loop ? Json() : Json(result.rate);
  json["rateSustained"] = result.sustained ? Json(*result.sustained) : Json();
  if (result.highest_sustained_rate) json["highestSustainedRate"] = *result.highest_sustained_rate;
  json["warmupSeconds"] = result.warmup_s;
  json["elapsedSeconds"] = result.elapsed_s;
  json["averagePublishRate"] = result.average_publish_rate();
  json["averageConsumeRate"] = result.average_consume_rate();
  json["messagesAcknowledged"] = result.messages_acked;
  json["messagesReceived"] = result.messages_received;
  json["messagesFailed"] = result.messages_failed;
  const LoadChecks& checks = result.checks;
  const auto if_checked = [&](std::uint64_t n) { return checks.checked ? Json(n) : Json(); };
  json["messagesLost"] = result.workload.subscriptions_per_topic > 0 ? Json(checks.lost) : Json();
  json["messagesDuplicate"] = if_checked(checks.duplicates);
  json["messagesReordered"] = if_checked(checks.reordered);
  json["messagesForeign"] = if_checked(checks.foreign);
  if (const auto& backlog = result.backlog) {
    json["backlogDrain"] = Json{{"builtMessages", backlog->built_messages},
                                {"builtSeconds", backlog->built_s},
                                {"drainSeconds", backlog->drain_s},
                                {"drained", backlog->drained}};
  }
  json["server"] = server_json(result);
  add_rates(json, "periodEndSeconds", result.periods, &Period::end_s);
  add_seen(json, "serverCpuCores", result.periods, &Period::cpu_cores);
  add_seen(json, "serverRssBytes", result.periods, &Period::rss_bytes);
  add_seen(json, "serverBytesWrittenPerSecond", result.periods, &Period::written_bytes_per_s);
  json["interrupted"] = result.interrupted;
  if (result.error) {
    json["firstError"] = std::string(result.error->name()) + ": " + result.error->message;
  }
}

}  // namespace

std::string to_json(const WorkloadResult& result) {
  Json json;
  const Workload& workload = result.workload;
  json["workload"] = workload.name;
  json["driver"] = "Andy X";
  json["messageSize"] = workload.message_bytes;
  json["topics"] = workload.topics;
  json["partitions"] = workload.partitions_per_topic;
  json["producersPerTopic"] = workload.producers_per_topic;
  json["consumersPerTopic"] = workload.consumers_per_subscription;  // so it is there, too
  const auto& periods = result.periods;
  add_rates(json, "publishRate", periods, &Period::publish_rate);
  add_rates(json, "publishErrorRate", periods, &Period::publish_error_rate);
  add_rates(json, "consumeRate", periods, &Period::consume_rate);
  add_rates(json, "backlog", periods, &Period::backlog);
  add_series(json, "publishLatency", Unit::kMs, periods, &Period::publish);
  add_series(json, "publishDelayLatency", Unit::kUs, periods, &Period::delay);
  add_series(json, "endToEndLatency", Unit::kMs, periods, &Period::end_to_end);
  add_aggregate(json, "aggregatedPublishLatency", Unit::kMs, result.publish);
  add_aggregate(json, "aggregatedPublishDelayLatency", Unit::kUs, result.delay);
  add_aggregate(json, "aggregatedEndToEndLatency", Unit::kMs, result.end_to_end);
  add_own(json, result);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace andyx::bench
