#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tools/bench/histogram.h"
#include "tools/bench/limit.h"
#include "tools/bench/options.h"
#include "tools/bench/report.h"
#include "tools/bench/suite_report.h"

using namespace andyx;

namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "andyx-bench-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

auto parse(std::vector<const char*> words) {
  words.insert(words.begin(), "andyx-bench");
  return bench::parse_options(static_cast<int>(words.size()), words.data());
}

}  // namespace

TEST_CASE("quantiles are right within the width of a step, over nine decades") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  bench::Histogram histogram;
  bench::Histogram half;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(random() >> (24 + random() % 40));
    (i % 2 == 0 ? histogram : half).add(values.back());
  }
  histogram.merge(half);
  std::ranges::sort(values);
  CHECK(histogram.count() == values.size());
  CHECK(histogram.min_ns() == values.front());
  CHECK(histogram.max_ns() == values.back());
  for (const double quantile : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(values.size())));
    const std::uint64_t exact = values[rank - 1];
    const std::uint64_t found = histogram.quantile_ns(quantile);
    CAPTURE(quantile);
    CHECK(found >= exact);
    CHECK(static_cast<double>(found) <= static_cast<double>(exact) * (1 + 1.0 / 64) + 1);
  }
}

TEST_CASE("an empty histogram is zero, a huge value is its maximum") {
  bench::Histogram histogram;
  CHECK(histogram.quantile_ns(0.5) == 0);
  CHECK(histogram.min_ns() == 0);
  histogram.add(5);
  histogram.add(~std::uint64_t{0});
  CHECK(histogram.max_ns() == ~std::uint64_t{0});
  CHECK(histogram.quantile_ns(0.5) == 5);
}

TEST_CASE("limit counts every message of every batch, syncs, and leaves no file behind") {
  const TemporaryDirectory directory;
  bench::LimitOptions options;
  options.directory = directory.path();
  options.message_bytes = 100;
  options.batch_bytes = 1000;
  options.window_bytes = 4000;
  options.messages = 5'000;
  std::uint64_t last_progress = 0;
  options.on_progress = [&](std::uint64_t bytes) { last_progress = bytes; };
  const auto result = bench::run_limit(options);
  REQUIRE(result.has_value());
  CHECK(result->batches == 500);
  CHECK(result->messages == 5'000);
  CHECK(result->bytes == 500'000);
  CHECK(last_progress == 500'000);
  // A window holds four batches: at least a quarter of them needs a sync of its own.
  CHECK(result->syncs >= 125);
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("limit writes as many bytes as it is told to, whatever arrives at a time") {
  const TemporaryDirectory directory;
  bench::LimitOptions options;
  options.directory = directory.path();
  options.batch_bytes = 1000;
  options.window_bytes = 4000;
  options.messages = 500;
  for (const double factor : {1.0, 1.5, 3.25}) {
    CAPTURE(factor);
    options.write_factor = factor;
    const auto result = bench::run_limit(options);
    REQUIRE(result.has_value());
    CHECK(result->bytes == 50'000);
    CHECK(result->written_bytes == static_cast<std::uint64_t>(50'000 * factor));
  }
  options.write_factor = 0.5;
  CHECK(bench::run_limit(options).error().code == ErrorCode::kBadArgument);
}

TEST_CASE(
    "limit times each round trip where one batch is under way at a time; loopback alone writes nothing") {
  const TemporaryDirectory directory;
  bench::LimitOptions options;
  options.directory = directory.path();
  options.message_bytes = options.batch_bytes = options.window_bytes = 100;
  options.messages = 50;
  auto result = bench::run_limit(options);
  REQUIRE(result);
  CHECK(result->latency.count() == 50);
  CHECK(result->syncs == 50);
  options.to_disk = false;
  result = bench::run_limit(options);
  REQUIRE(result);
  CHECK(result->latency.count() == 50);
  CHECK(result->syncs == 0);
  CHECK(result->written_bytes == 0);
  options.window_bytes = 200;
  result = bench::run_limit(options);
  REQUIRE(result);
  CHECK(result->latency.count() == 0);
}

TEST_CASE(
    "limit at a rate takes as long as the rate says, and times each message from when it was due") {
  const TemporaryDirectory directory;
  bench::LimitOptions options;
  options.directory = directory.path();
  options.message_bytes = 100;
  options.batch_bytes = 1'000;
  options.window_bytes = 4'000;
  options.messages = 500;
  options.rate = 1'000;
  const auto result = bench::run_limit(options);
  REQUIRE(result);
  CHECK(result->messages == 500);
  CHECK(result->latency.count() == 500);
  // The last message is due after 499 ms; the first waits 9 ms for its batch to be full.
  CHECK(result->elapsed_s >= 0.499);
  CHECK(result->latency.max_ns() >= 9'000'000);
  options.rate = -1;
  CHECK(bench::run_limit(options).error().code == ErrorCode::kBadArgument);
}

TEST_CASE("limit says what is wrong with its directory, batch and window") {
  bench::LimitOptions options;
  options.directory = "/nonexistent/directory";
  options.messages = 1;
  auto result = bench::run_limit(options);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::kIo);
  CHECK(result.error().message.find("/nonexistent/directory") != std::string::npos);
  options.batch_bytes = options.window_bytes + 1;
  CHECK(bench::run_limit(options).error().code == ErrorCode::kBadArgument);
  options.message_bytes = 0;
  CHECK(bench::run_limit(options).error().code == ErrorCode::kBadArgument);
}

TEST_CASE("a report has the names that scripts rely on, at top level") {
  bench::Report report;
  report.command = "produce";
  report.messages_acked = 1'000;
  report.bytes = 100'000;
  report.elapsed_s = 0.5;
  report.acks = "main";
  auto json = nlohmann::json::parse(bench::to_json(report));
  CHECK(json["messages_acked"] == 1'000);
  CHECK(json["messages_consumed"] == 0);
  CHECK(json["elapsed_s"] == 0.5);
  CHECK(json["messages_per_s"] == 2'000.0);
  CHECK(json["bytes_per_s"] == 200'000.0);
  CHECK(json["errors"] == 0);
  CHECK(json["acks"] == "main");
  CHECK(json["fsync"].is_null());
  CHECK_FALSE(json.contains("limit_share"));
  report.fsync = true;
  report.limit_share = 0.5;
  json = nlohmann::json::parse(bench::to_json(report));
  CHECK(json["fsync"] == true);
  CHECK(json["limit_share"] == 0.5);
  CHECK_FALSE(json.contains("limit_latency_ms"));
  report.limit_latency.add(2'000'000);
  json = nlohmann::json::parse(bench::to_json(report));
  CHECK(json["limit_latency_ms"]["max"] == 2.0);
}

TEST_CASE("a saved report of limit is read back, and nothing else is taken for one") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() / "report.json";
  bench::Report report;
  report.command = "limit";
  report.messages_acked = 100;
  report.elapsed_s = 2;
  REQUIRE(bench::write_json(report, path).has_value());
  CHECK(bench::read_limit_messages_per_s(path) == 50.0);
  report.command = "produce";
  REQUIRE(bench::write_json(report, path).has_value());
  CHECK(bench::read_limit_messages_per_s(path).error().code == ErrorCode::kBadArgument);
  std::ofstream(path) << "not json";
  CHECK(bench::read_limit_messages_per_s(path).error().code == ErrorCode::kBadArgument);
  CHECK(bench::read_limit_messages_per_s(directory.path() / "none").error().code == ErrorCode::kIo);
}

TEST_CASE("subscriptions runs all its parts at the size of the issue unless told otherwise") {
  auto parsed = parse({"subscriptions"});
  REQUIRE(std::holds_alternative<bench::Options>(parsed));
  bench::Options options = std::get<bench::Options>(parsed);
  CHECK(options.command == bench::BenchCommand::kSubscriptions);
  CHECK(options.suite.messages == 2'000'000);
  CHECK(options.suite.subscriptions == 1'000);
  CHECK(options.suite.partitions == 10'000);
  CHECK(options.suite.backlog_bytes == 1u << 30);
  CHECK(options.suite.parts.size() == 4);

  parsed = parse({"subscriptions", "--parts", "backlog,shared,backlog", "--messages", "5",
                  "--backlog-bytes", "3MiB", "--size", "7", "--subscriptions", "2", "--partitions",
                  "3"});
  REQUIRE(std::holds_alternative<bench::Options>(parsed));
  options = std::get<bench::Options>(parsed);
  CHECK(options.suite.parts == std::vector{bench::SuitePart::kBacklog, bench::SuitePart::kShared});
  CHECK(options.suite.messages == 5);
  CHECK(options.suite.backlog_bytes == 3 * 1024 * 1024);
  CHECK(options.size_bytes == 7);
  CHECK(options.suite.subscriptions == 2);
  CHECK(options.suite.partitions == 3);
}

TEST_CASE("subscriptions refuses parts, sizes and numbers that it cannot run") {
  const std::vector<std::vector<const char*>> wrong{
      {"subscriptions", "--parts", "shared,nothing"}, {"subscriptions", "--parts", ""},
      {"subscriptions", "--parts", "shared,"},        {"subscriptions", "--backlog-bytes", "-1"},
      {"subscriptions", "--backlog-bytes", "many"},   {"subscriptions", "--size", "0"},
      {"subscriptions", "--subscriptions", "10001"},  {"subscriptions", "--partitions", "0"}};
  for (const auto& words : wrong) {
    CAPTURE(words[1]);
    CAPTURE(words[2]);
    const auto parsed = parse(words);
    REQUIRE(std::holds_alternative<tools::ExitStatus>(parsed));
    CHECK(std::get<tools::ExitStatus>(parsed) == tools::kWrongUsage);
  }
}

TEST_CASE("a row compares the medians with and without, and leaves out what was not measured") {
  CHECK(bench::median({}) == 0);
  CHECK(bench::median({9, 1, 4}) == 4);
  CHECK(bench::median({4, 1}) == 2.5);

  bench::SuiteRow row;
  row.part = "shared";
  row.load = "4 consumers";
  bench::set_runs(row,
                  {{.messages = 100, .elapsed_s = 2, .cpu_us = 300},
                   {.messages = 100, .elapsed_s = 1, .cpu_us = 500}},
                  {{.messages = 200, .elapsed_s = 1, .cpu_us = 400}});
  CHECK(row.messages_per_s == 75);
  CHECK(row.without_messages_per_s == 200);
  CHECK(row.rate_ratio() == 0.375);
  CHECK(row.cpu_us == 4);
  CHECK(row.cpu_ratio() == 2);
  row.goal = "RATIO >= 0.90";
  row.met = false;
  bench::SuiteRow backlog;
  backlog.part = "backlog";
  backlog.rss_peak_bytes = 5'000'000;
  bench::SuiteReport report;
  report.messages = 100;
  report.rows = {row, backlog};

  const auto json = nlohmann::json::parse(bench::to_json(report));
  CHECK(json["command"] == "subscriptions");
  CHECK(json["messages"] == 100);
  CHECK_FALSE(json.contains("first_error"));
  REQUIRE(json["rows"].size() == 2);
  CHECK(json["rows"][0]["part"] == "shared");
  CHECK(json["rows"][0]["load"] == "4 consumers");
  CHECK(json["rows"][0]["rate_ratio"] == 0.375);
  CHECK(json["rows"][0]["cpu_ratio"] == 2.0);
  CHECK(json["rows"][0]["met"] == false);
  REQUIRE(json["rows"][0]["runs"].size() == 2);
  CHECK(json["rows"][0]["runs"][1]["server_cpu_us"] == 500);
  CHECK(json["rows"][0]["without_runs"].size() == 1);
  CHECK_FALSE(json["rows"][0].contains("rss_peak_bytes"));
  CHECK(json["rows"][1]["rss_peak_bytes"] == 5'000'000);
  CHECK_FALSE(json["rows"][1].contains("rate_ratio"));
  CHECK_FALSE(json["rows"][1].contains("met"));

  const std::string table = bench::to_table(report);
  CHECK(table.find("0.38") != std::string::npos);
  CHECK(table.find("RATIO >= 0.90: missed") != std::string::npos);
  CHECK(table.find("5.00 MB") != std::string::npos);
}
