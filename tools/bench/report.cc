#include "tools/bench/report.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/common/progress.h"

namespace andyx::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kLimitLatencyOf[] = "limit: when a message was due to its acknowledgement";

double per_second(std::uint64_t amount, double elapsed_s) {
  return elapsed_s > 0 ? static_cast<double>(amount) / elapsed_s : 0;
}

double ms(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

void append_line(std::string& out, const char* format, auto... values) {
  char line[512];
  std::snprintf(line, sizeof line, format, values...);
  out += line;
  out += '\n';
}

void append_latency(std::string& out, const std::string& of, const Histogram& latency) {
  if (latency.count() == 0) return;
  append_line(out, "  %s, ms: p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f", of.c_str(),
              ms(latency.quantile_ns(0.5)), ms(latency.quantile_ns(0.9)),
              ms(latency.quantile_ns(0.99)), ms(latency.quantile_ns(0.999)), ms(latency.max_ns()));
}

Json latency_json(const std::string& of, const Histogram& latency) {
  return Json{{"of", of},
              {"count", latency.count()},
              {"min", ms(latency.min_ns())},
              {"mean", latency.mean_ns() / 1e6},
              {"p50", ms(latency.quantile_ns(0.5))},
              {"p75", ms(latency.quantile_ns(0.75))},
              {"p90", ms(latency.quantile_ns(0.9))},
              {"p95", ms(latency.quantile_ns(0.95))},
              {"p99", ms(latency.quantile_ns(0.99))},
              {"p99_9", ms(latency.quantile_ns(0.999))},
              {"p99_99", ms(latency.quantile_ns(0.9999))},
              {"max", ms(latency.max_ns())}};
}

}  // namespace

double Report::messages_per_s() const { return per_second(messages(), elapsed_s); }
double Report::bytes_per_s() const { return per_second(bytes, elapsed_s); }

std::string to_text(const Report& report) {
  std::string out;
  if (report.command == "idle") {
    append_line(out, "idle: connected in %.3f s", report.elapsed_s);
  } else {
    append_line(out, "%s: %llu messages in %.3f s: %s messages/s, %s/s", report.command.c_str(),
                static_cast<unsigned long long>(report.messages()), report.elapsed_s,
                tools::short_count(report.messages_per_s()).c_str(),
                tools::short_bytes(report.bytes_per_s()).c_str());
  }
  if (report.messages_acked != 0 && report.messages_consumed != 0) {
    append_line(out, "  acknowledged %llu, consumed %llu",
                static_cast<unsigned long long>(report.messages_acked),
                static_cast<unsigned long long>(report.messages_consumed));
  }
  if (!report.acks.empty()) {
    append_line(out, "  acks %s, fsync %s", report.acks.c_str(),
                !report.fsync ? "unknown" : (*report.fsync ? "on" : "off"));
  }
  if (report.limit_share && report.limit_messages_per_s) {
    append_line(out, "  %.2f of limit (%s messages/s)", *report.limit_share,
                tools::short_count(*report.limit_messages_per_s).c_str());
  }
  if (report.limit_of_writes_share && report.limit_of_writes_messages_per_s) {
    append_line(out, "  %.2f of limit that writes %.2f times the bytes (%s messages/s)",
                *report.limit_of_writes_share, report.write_factor.value_or(1),
                tools::short_count(*report.limit_of_writes_messages_per_s).c_str());
  }
  append_latency(out, report.latency_of, report.latency);
  append_latency(out, kLimitLatencyOf, report.limit_latency);
  for (const auto& [name, value] : report.details) {
    append_line(out, "  %s %llu", name.c_str(), static_cast<unsigned long long>(value));
  }
  if (report.errors != 0) {
    append_line(out, "  errors %llu, the first: %s", static_cast<unsigned long long>(report.errors),
                report.first_error.c_str());
  }
  return out;
}

std::string to_json(const Report& report) {
  Json json;
  json["command"] = report.command;
  json["messages_acked"] = report.messages_acked;
  json["messages_consumed"] = report.messages_consumed;
  json["elapsed_s"] = report.elapsed_s;
  json["messages_per_s"] = report.messages_per_s();
  json["bytes_per_s"] = report.bytes_per_s();
  json["errors"] = report.errors;
  if (!report.first_error.empty()) json["first_error"] = report.first_error;
  json["acks"] = report.acks.empty() ? Json() : Json(report.acks);
  json["fsync"] = report.fsync ? Json(*report.fsync) : Json();
  if (report.limit_share) json["limit_share"] = *report.limit_share;
  if (report.limit_messages_per_s) json["limit_messages_per_s"] = *report.limit_messages_per_s;
  if (report.write_factor) json["write_factor"] = *report.write_factor;
  if (report.limit_of_writes_share) {
    json["limit_of_writes_share"] = *report.limit_of_writes_share;
    json["limit_of_writes_messages_per_s"] = report.limit_of_writes_messages_per_s.value_or(0);
  }
  if (report.latency.count() != 0) {
    json["latency_ms"] = latency_json(report.latency_of, report.latency);
  }
  if (report.limit_latency.count() != 0) {
    json["limit_latency_ms"] = latency_json(kLimitLatencyOf, report.limit_latency);
  }
  for (const auto& [name, value] : report.details) json[name] = value;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Status write_text(const std::string& text, const std::string& path) {
  if (path == "-") {
    std::fputs(text.c_str(), stdout);
    return {};
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) return fail(ErrorCode::kIo, "cannot write the report to '" + path + "'");
  return {};
}

Status write_json(const Report& report, const std::string& path) {
  return write_text(to_json(report), path);
}

Result<double> read_limit_messages_per_s(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kIo, "cannot read '" + path + "'");
  const Json json = Json::parse(file, nullptr, false);
  if (!json.is_object() || json.value("command", "") != "limit" ||
      !json.contains("messages_per_s") || !json["messages_per_s"].is_number() ||
      !(json["messages_per_s"].get<double>() > 0)) {
    return fail(ErrorCode::kBadArgument,
                "'" + path + "' is not what `andyx-bench limit --json` writes");
  }
  return json["messages_per_s"].get<double>();
}

}  // namespace andyx::bench
