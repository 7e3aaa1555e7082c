#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/bench/plot/plot.h"
#include "tools/bench/workload/processes.h"
#include "tools/bench/workload/result.h"

using namespace andyx;
using Json = nlohmann::json;

namespace {

bench::WorkloadResult example_result() {
  bench::WorkloadResult result;
  result.workload.name = "a & b <c>";
  result.workload.message_bytes = 100;
  result.workload.topics = 2;
  result.workload.partitions_per_topic = 3;
  result.workload.subscriptions_per_topic = 1;
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    result.publish.add(i * 1'000);
    result.end_to_end.add(i * 2'000);
    result.delay.add(i);
  }
  for (int second = 1; second <= 3; ++second) {
    bench::Period period;
    period.end_s = second;
    period.publish_rate = 1'000.0 * second;
    period.consume_rate = 500;
    period.backlog = 7;
    period.publish = bench::summarize(result.publish);
    result.periods.push_back(period);
  }
  result.messages_acked = 6'000;
  result.checks.checked = true;
  result.server =
      bench::ServerUse{.pids = {17}, .seconds = 3, .cpu_s = 0.6, .written_bytes = 900'000};
  return result;
}

// Every element closed, in order; nothing else is claimed.
bool is_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = xml.find('<'); at != xml.npos; at = xml.find('<', at + 1)) {
    const std::size_t end = xml.find('>', at);
    if (end == xml.npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (tag.find('<') != tag.npos) return false;
    const std::string name = tag.substr(0, tag.find_first_of(" /"));
    if (tag.front() == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  return open.empty();
}

}  // namespace

TEST_CASE("a result has the fields of the OpenMessaging Benchmark, in its units") {
  const Json json = Json::parse(bench::to_json(example_result()));
  CHECK(json["workload"] == "a & b <c>");
  CHECK(json["driver"] == "Andy X");
  CHECK(json["messageSize"] == 100);
  CHECK(json["topics"] == 2);
  CHECK(json["partitions"] == 3);
  CHECK(json["producersPerTopic"] == 1);
  CHECK(json["consumersPerTopic"] == 1);
  for (const char* field : {"publishRate", "publishErrorRate", "consumeRate", "backlog"}) {
    CAPTURE(field);
    CHECK(json[field].size() == 3);
  }
  for (const char* name : {"publishLatency", "publishDelayLatency", "endToEndLatency"}) {
    for (const char* part :
         {"Avg", "50pct", "75pct", "95pct", "99pct", "999pct", "9999pct", "Max"}) {
      const std::string field = std::string(name) + part;
      CAPTURE(field);
      CHECK(json[field].size() == 3);
      std::string aggregated = "aggregated" + field;
      aggregated[10] = static_cast<char>(std::toupper(aggregated[10]));
      CHECK(json[aggregated].is_number());
    }
  }
  // ms; but delays in whole µs.
  CHECK(json["aggregatedPublishLatency50pct"].get<double>() == doctest::Approx(5).epsilon(0.02));
  CHECK(json["aggregatedEndToEndLatencyMax"] == 20.0);
  CHECK(json["aggregatedPublishDelayLatencyMax"] == 10);
  const Json& quantiles = json["aggregatedPublishLatencyQuantiles"];
  CHECK(quantiles["50"].get<double>() == doctest::Approx(5).epsilon(0.02));
  CHECK(quantiles["75"].get<double>() == doctest::Approx(7.5).epsilon(0.02));
  CHECK(quantiles["100"] == 10.0);
}

TEST_CASE("a result says what is needed to judge it; what was not seen is null") {
  bench::WorkloadResult result = example_result();
  Json json = Json::parse(bench::to_json(result));
  CHECK(json["fsync"].is_null());
  CHECK(json["messagesLost"] == 0);
  CHECK(json["server"]["bytesWrittenPerPayloadByte"] == 1.5);
  CHECK(json["server"]["cpuMicrosPerMessage"].get<double>() == doctest::Approx(100));
  CHECK(json["averagePublishRate"].get<double>() == doctest::Approx(2'000));
  result.server.reset();
  result.checks.checked = false;
  result.error = Error{ErrorCode::kTimedOut, "no answer"};
  json = Json::parse(bench::to_json(result));
  CHECK(json["server"].is_null());
  CHECK(json["messagesDuplicate"].is_null());
  CHECK(json["firstError"] == "timed_out: no answer");
}

TEST_CASE("a plot of several reports is well-formed, and draws a curve for each figure") {
  const std::string report = bench::to_json(example_result());
  const auto panels = bench::panels_of({report, report});
  REQUIRE(panels.has_value());
  REQUIRE(panels->size() == 2);
  CHECK((*panels)[0].curves.size() == 4);
  CHECK((*panels)[1].curves.size() == 4);
  const std::string svg = bench::draw_svg(*panels);
  CHECK(is_well_formed(svg));
  CHECK(svg.find("a &amp; b &lt;c&gt;") != svg.npos);
  CHECK(svg.find("99.99") != svg.npos);
  CHECK(svg.find("nan") == svg.npos);
  CHECK(svg.find("inf") == svg.npos);
}

TEST_CASE("a plot of nothing, of zeros or of one point is drawn; what is no report is refused") {
  CHECK(bench::panels_of({"{}"}).error().code == ErrorCode::kBadArgument);
  CHECK(bench::panels_of({"no JSON"}).error().code == ErrorCode::kBadArgument);
  for (const char* report : {R"({"publishRate":[0]})", R"({"publishRate":[0,0,0]})",
                             R"({"aggregatedPublishLatencyQuantiles":{"50.0":0,"x":1}})"}) {
    CAPTURE(report);
    const auto panels = bench::panels_of({report});
    REQUIRE(panels.has_value());
    const std::string svg = bench::draw_svg(*panels);
    CHECK(is_well_formed(svg));
    CHECK(svg.find("nan") == svg.npos);
    CHECK(svg.find("inf") == svg.npos);
  }
}

TEST_CASE("a process is found by the port that it listens on, and its use is read") {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(listener >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const std::uint16_t port = ntohs(address.sin_port);
  CHECK_FALSE(bench::find_listener(port).has_value());  // it does not listen yet
  REQUIRE(::listen(listener, 1) == 0);
  CHECK(bench::find_listener(port) == ::getpid());
  ::close(listener);
  const auto usage = bench::read_usage(::getpid());
  REQUIRE(usage.has_value());
  CHECK(usage->rss_bytes > 0);
  CHECK(usage->rss_peak_bytes >= usage->rss_bytes);
  CHECK_FALSE(bench::read_usage(std::vector<pid_t>{}).has_value());
  CHECK_FALSE(bench::read_usage(-1).has_value());
  CHECK(bench::is_local_host("127.0.0.1"));
  CHECK_FALSE(bench::is_local_host("192.0.2.1"));  // of documentation: nobody's
}
