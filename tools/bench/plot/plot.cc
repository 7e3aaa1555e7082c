#include "tools/bench/plot/plot.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/bench/report.h"

namespace andyx::bench {
namespace {

using Json = nlohmann::json;

// An object of percentiles, whose keys are numbers as text.
void add_percentiles(Panel& panel, const Json& report, const char* field, const std::string& name,
                     unsigned color, bool dashed) {
  const auto found = report.find(field);
  if (found == report.end() || !found->is_object() || found->empty()) return;
  Curve curve{.name = name, .color = color, .dashed = dashed, .points = {}};
  for (const auto& [key, value] : found->items()) {
    double percentile = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), percentile);
    if (error != std::errc{} || !value.is_number() || percentile > 100) continue;
    // The maximum has no place of its own: it is where the last percentile was.
    if (percentile < 100) curve.points.emplace_back(percentile, value.get<double>());
  }
  std::ranges::sort(curve.points);
  if (!curve.points.empty()) panel.curves.push_back(std::move(curve));
}

// Of each period, at its end; without times they are taken for periods of equal length.
void add_rates(Panel& panel, const Json& report, const char* field, const std::string& name,
               unsigned color, bool dashed) {
  const auto found = report.find(field);
  if (found == report.end() || !found->is_array() || found->empty()) return;
  const Json times = report.value("periodEndSeconds", Json());
  Curve curve{.name = name, .color = color, .dashed = dashed, .points = {}};
  for (std::size_t i = 0; i < found->size(); ++i) {
    if (!(*found)[i].is_number()) continue;
    const bool timed = times.is_array() && i < times.size() && times[i].is_number();
    curve.points.emplace_back(timed ? times[i].get<double>() : static_cast<double>(i + 1),
                              (*found)[i].get<double>());
  }
  if (!curve.points.empty()) panel.curves.push_back(std::move(curve));
}

std::string name_of(const Json& report) {
  const auto text = [&](const char* field) {
    const auto found = report.find(field);
    return found != report.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const std::string driver = text("driver"), workload = text("workload");
  return driver.empty() || workload.empty() ? driver + workload : driver + ": " + workload;
}

}  // namespace

Result<std::vector<Panel>> panels_of(const std::vector<std::string>& reports) {
  Panel latency{.title = "Latency percentiles",
                .x = {.label = "percentile", .scale = Scale::kPercentile},
                .y = {.label = "ms", .scale = Scale::kLog},
                .curves = {}};
  Panel rate{.title = "Throughput over time",
             .x = {.label = "s", .scale = Scale::kLinear},
             .y = {.label = "messages/s", .scale = Scale::kLinear},
             .curves = {}};
  unsigned color = 0;
  for (const std::string& text : reports) {
    const Json report = Json::parse(text, nullptr, false);
    const std::size_t before = latency.curves.size() + rate.curves.size();
    if (report.is_object()) {
      const std::string name = name_of(report);
      add_percentiles(latency, report, "aggregatedPublishLatencyQuantiles", name + " (publish)",
                      color, false);
      add_percentiles(latency, report, "aggregatedEndToEndLatencyQuantiles", name + " (end to end)",
                      color, true);
      add_rates(rate, report, "publishRate", name + " (published)", color, false);
      add_rates(rate, report, "consumeRate", name + " (consumed)", color, true);
    }
    if (latency.curves.size() + rate.curves.size() == before) {
      return fail(ErrorCode::kBadArgument,
                  "report " + std::to_string(color + 1) +
                      " has no figures to draw: plots are of what `andyx-bench run --json` writes");
    }
    ++color;
  }
  return std::vector<Panel>{std::move(latency), std::move(rate)};
}

Status run_plot(const std::string& out_file, const std::vector<std::string>& files) {
  std::vector<std::string> reports;
  for (const std::string& path : files) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorCode::kIo, "cannot read '" + path + "'");
    reports.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  const auto panels = panels_of(reports);
  if (!panels) return std::unexpected(panels.error());
  return write_text(draw_svg(*panels), out_file);
}

}  // namespace andyx::bench
