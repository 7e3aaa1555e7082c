#include "tools/bench/workload/result.h"

#include <cstdio>

#include "tools/common/progress.h"

namespace andyx::bench {
namespace {

double average(const std::vector<Period>& periods, double Period::* rate) {
  double sum = 0, from_s = 0;
  for (const Period& period : periods) {
    sum += period.*rate * (period.end_s - from_s);
    from_s = period.end_s;
  }
  return from_s > 0 ? sum / from_s : 0;
}

void line(std::string& out, const char* text) {
  out += text;
  out += '\n';
}

template <typename... Values>
void line(std::string& out, const char* format, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, format, values...);
  out += text;
  out += '\n';
}

void latency_line(std::string& out, const char* name, const Histogram& histogram) {
  if (histogram.count() == 0) return;
  const LatencySummary s = summarize(histogram);
  const auto ms = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e6; };
  line(out, "  %-14s ms: p50 %.3f  p75 %.3f  p95 %.3f  p99 %.3f  p99.9 %.3f  p99.99 %.3f  max %.3f",
       name, ms(s.p50_ns), ms(s.p75_ns), ms(s.p95_ns), ms(s.p99_ns), ms(s.p999_ns), ms(s.p9999_ns),
       ms(s.max_ns));
}

void server_lines(std::string& out, const WorkloadResult& result) {
  if (!result.server) {
    line(out, "  server: its process is not seen here; --server-pid names it");
    return;
  }
  const ServerUse& server = *result.server;
  const double messages = static_cast<double>(result.messages_acked);
  line(out, "  server: CPU %.2f s, %.3f us for each message; RSS %s, at most %s", server.cpu_s,
       messages > 0 ? server.cpu_s * 1e6 / messages : 0,
       tools::short_bytes(static_cast<double>(server.rss_bytes)).c_str(),
       tools::short_bytes(static_cast<double>(server.rss_peak_bytes)).c_str());
  if (server.written_bytes && result.payload_bytes() > 0) {
    const auto written = static_cast<double>(*server.written_bytes);
    line(out, "  written: %s, %.3f bytes for each payload byte",
         tools::short_bytes(written).c_str(),
         written / static_cast<double>(result.payload_bytes()));
  }
}

}  // namespace

LatencySummary summarize(const Histogram& histogram) {
  return {.mean_ns = histogram.mean_ns(),
          .p50_ns = histogram.quantile_ns(0.5),
          .p75_ns = histogram.quantile_ns(0.75),
          .p95_ns = histogram.quantile_ns(0.95),
          .p99_ns = histogram.quantile_ns(0.99),
          .p999_ns = histogram.quantile_ns(0.999),
          .p9999_ns = histogram.quantile_ns(0.9999),
          .max_ns = histogram.max_ns()};
}

double WorkloadResult::average_publish_rate() const {
  return average(periods, &Period::publish_rate);
}
double WorkloadResult::average_consume_rate() const {
  return average(periods, &Period::consume_rate);
}

std::string to_text(const WorkloadResult& result) {
  std::string out;
  line(out, "%s", result.workload.name.c_str());
  if (result.highest_sustained_rate) {
    line(out, "  highest sustained rate: %s messages/s",
         tools::short_count(*result.highest_sustained_rate).c_str());
  }
  line(out, "  published %s messages/s (%s/s), consumed %s messages/s, over %.1f s%s",
       tools::short_count(result.average_publish_rate()).c_str(),
       tools::short_bytes(result.average_publish_rate() * result.workload.message_bytes).c_str(),
       tools::short_count(result.average_consume_rate()).c_str(), result.elapsed_s,
       result.sustained && !*result.sustained ? "; the rate asked for was not sustained" : "");
  latency_line(out, "publish", result.publish);
  latency_line(out, "publish delay", result.delay);
  latency_line(out, "end to end", result.end_to_end);
  if (result.workload.subscriptions_per_topic > 0) {
    const LoadChecks& checks = result.checks;
    const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    line(out, "  lost %llu, duplicate %llu, reordered %llu%s", number(checks.lost),
         number(checks.duplicates), number(checks.reordered),
         checks.checked ? "" : " (counted only: payloads have no room for a sequence)");
  }
  if (const auto& backlog = result.backlog) {
    line(out, "  backlog: %llu messages in %.1f s, %s in %.1f s",
         static_cast<unsigned long long>(backlog->built_messages), backlog->built_s,
         backlog->drained ? "drained" : "not drained", backlog->drain_s);
  }
  server_lines(out, result);
  line(out, "  acks %s, fsync %s, %u cop%s of each partition, clients %s", result.acks.c_str(),
       !result.fsync ? "unknown" : (*result.fsync ? "on" : "off"), result.replication_factor,
       result.replication_factor == 1 ? "y" : "ies",
       result.same_host ? "on the server's machine" : "on another machine");
  if (result.messages_failed != 0) {
    line(out, "  failed: %llu messages", static_cast<unsigned long long>(result.messages_failed));
  }
  return out;
}

}  // namespace andyx::bench
