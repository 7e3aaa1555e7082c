#include "tools/bench/suite_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/common/progress.h"
#include "tools/common/table.h"

namespace andyx::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string fixed(std::optional<double> value, int digits) {
  if (!value) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, *value);
  return text;
}

template <typename Number>
std::string size_text(const std::optional<Number>& bytes) {
  return bytes ? tools::short_bytes(static_cast<double>(*bytes)) : "-";
}

std::string goal_text(const SuiteRow& row) {
  if (row.goal.empty()) return "-";
  return row.met ? row.goal + (*row.met ? ": met" : ": missed") : row.goal;
}

template <typename Number>
void add(Json& json, const char* name, const std::optional<Number>& value) {
  if (value) json[name] = *value;
}

void add_runs(Json& json, const char* name, const std::vector<Load>& runs) {
  if (runs.empty()) return;
  json[name] = Json::array();
  for (const Load& run : runs) {
    json[name].push_back(Json{
        {"messages", run.messages}, {"elapsed_s", run.elapsed_s}, {"server_cpu_us", run.cpu_us}});
  }
}

double median_of(const std::vector<Load>& loads, double (Load::*figure)() const) {
  std::vector<double> values;
  for (const Load& load : loads) values.push_back((load.*figure)());
  return median(std::move(values));
}

std::optional<double> ratio(std::optional<double> with, std::optional<double> without) {
  if (!with || !without || *without <= 0) return std::nullopt;
  return *with / *without;
}

}  // namespace

double Load::messages_per_s() const {
  return elapsed_s > 0 ? static_cast<double>(messages) / elapsed_s : 0;
}

double Load::cpu_us_per_message() const {
  return messages != 0 ? static_cast<double>(cpu_us) / static_cast<double>(messages) : 0;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::optional<double> SuiteRow::rate_ratio() const {
  return ratio(messages_per_s, without_messages_per_s);
}

std::optional<double> SuiteRow::cpu_ratio() const { return ratio(cpu_us, without_cpu_us); }

void set_runs(SuiteRow& row, std::vector<Load> with, std::vector<Load> without) {
  row.messages_per_s = median_of(with, &Load::messages_per_s);
  row.without_messages_per_s = median_of(without, &Load::messages_per_s);
  row.cpu_us = median_of(with, &Load::cpu_us_per_message);
  row.without_cpu_us = median_of(without, &Load::cpu_us_per_message);
  row.with_runs = std::move(with);
  row.without_runs = std::move(without);
}

std::string to_table(const SuiteReport& report) {
  tools::Table table({"PART", "LOAD", ">MESSAGES/S", ">WITHOUT", ">RATIO", ">CPU-US", ">WITHOUT",
                      ">RATIO", ">ADDED-US", ">BYTES/S", ">RSS-BEFORE", ">AFTER", ">PEAK",
                      ">BYTES-EACH", "GOAL"});
  for (const SuiteRow& row : report.rows) {
    table.add({row.part, row.load, fixed(row.messages_per_s, 0),
               fixed(row.without_messages_per_s, 0), fixed(row.rate_ratio(), 2),
               fixed(row.cpu_us, 3), fixed(row.without_cpu_us, 3), fixed(row.cpu_ratio(), 2),
               fixed(row.added_cpu_us, 3), size_text(row.bytes_per_s),
               size_text(row.rss_before_bytes), size_text(row.rss_after_bytes),
               size_text(row.rss_peak_bytes), fixed(row.bytes_each, 0), goal_text(row)});
  }
  return table.text();
}

std::string to_json(const SuiteReport& report) {
  Json json;
  json["command"] = "subscriptions";
  json["messages"] = report.messages;
  json["message_bytes"] = report.message_bytes;
  json["fsync"] = report.fsync ? Json(*report.fsync) : Json();
  if (!report.first_error.empty()) json["first_error"] = report.first_error;
  json["rows"] = Json::array();
  for (const SuiteRow& row : report.rows) {
    Json out{{"part", row.part}, {"load", row.load}, {"messages_per_s", row.messages_per_s}};
    add(out, "without_messages_per_s", row.without_messages_per_s);
    add(out, "rate_ratio", row.rate_ratio());
    add(out, "cpu_us", row.cpu_us);
    add(out, "without_cpu_us", row.without_cpu_us);
    add(out, "cpu_ratio", row.cpu_ratio());
    add(out, "added_cpu_us", row.added_cpu_us);
    add(out, "bytes_per_s", row.bytes_per_s);
    add(out, "rss_before_bytes", row.rss_before_bytes);
    add(out, "rss_after_bytes", row.rss_after_bytes);
    add(out, "rss_peak_bytes", row.rss_peak_bytes);
    add(out, "bytes_each", row.bytes_each);
    if (!row.goal.empty()) out["goal"] = row.goal;
    add(out, "met", row.met);
    add_runs(out, "runs", row.with_runs);
    add_runs(out, "without_runs", row.without_runs);
    json["rows"].push_back(std::move(out));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace andyx::bench
