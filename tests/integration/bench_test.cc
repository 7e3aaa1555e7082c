// andyx-bench against a real server: workloads from their file to their report.
#include <doctest/doctest.h>
#include <signal.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

constexpr const char* kWorkload = R"(name: small
topics: 1
partitionsPerTopic: 4
messageSize: 100
subscriptionsPerTopic: 1
producersPerTopic: 1
consumerPerSubscription: 1
producerRate: 2000
consumerBacklogSizeGB: 0
testDurationMinutes: 0.03
warmupDurationMinutes: 0.005
)";

class Bench {
 public:
  explicit Bench(const ServerProcess& server) : address_(server.address()) {
    const char* path = std::getenv("ANDYX_BENCH_BIN");
    REQUIRE(path != nullptr);
    program_ = path;
  }

  Launch launch(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {program_, "--server", address_});
    return {.argv = std::move(arguments)};
  }
  CommandResult run(std::vector<std::string> arguments) const {
    return run_command(launch(std::move(arguments)));
  }
  // The report of `run` on this workload.
  Json report(const std::string& yaml, std::vector<std::string> arguments = {}) const {
    write_file(directory_.file("workload.yaml"), yaml);
    arguments.insert(arguments.begin(), {"run", directory_.file("workload.yaml"), "--json", "-"});
    const CommandResult result = run(std::move(arguments));
    INFO(result.err);
    REQUIRE(result.exit_code == kDone);
    return Json::parse(result.out);
  }
  std::string file(const std::string& name) const { return directory_.file(name); }

 private:
  std::string program_, address_;
  TempDir directory_;
};

void check_nothing_wrong(const Json& report) {
  CHECK(report["messagesAcknowledged"].get<std::uint64_t>() > 0);
  CHECK(report["messagesReceived"].get<std::uint64_t>() > 0);
  CHECK(report["messagesFailed"] == 0);
  CHECK(report["messagesLost"] == 0);
  CHECK(report["messagesDuplicate"] == 0);
  CHECK(report["messagesReordered"] == 0);
  CHECK(report["messagesForeign"] == 0);
}

TEST_CASE("a workload holds its rate; its report says what was measured and of whom") {
  ServerProcess& server = shared_server();
  const Bench bench(server);
  const Json report = bench.report(kWorkload);
  check_nothing_wrong(report);
  CHECK(report["loop"] == "open");
  CHECK(report["targetRate"] == 2'000.0);
  CHECK(report["fsync"] == true);
  CHECK(report["acks"] == "main");
  CHECK(report["replicationFactor"] == 1);
  CHECK(report["clientsOnServerHost"] == true);
  CHECK(report["server"]["pids"] == Json::array({server.process().pid()}));
  CHECK(report["server"]["bytesWritten"].get<std::uint64_t>() > 0);
  const std::size_t periods = report["publishRate"].size();
  CHECK(periods >= 1);
  CHECK(report["endToEndLatency99pct"].size() == periods);
  CHECK(report["serverCpuCores"].size() == periods);
  CHECK(report["aggregatedEndToEndLatency50pct"].get<double>() > 0);
  CHECK(Cli(server).json({"topic", "list"})["topics"].empty());  // its own are deleted
}

TEST_CASE("many topics, keys, producers and consumers, as fast as it goes: nothing is lost") {
  const Bench bench(shared_server());
  const Json report = bench.report(R"(
topics: 3
partitionsPerTopic: 4
keyDistributor: RANDOM_NANO
messageSize: 200
useRandomizedPayloads: true
randomBytesRatio: 0.5
randomizedPayloadPoolSize: 10
subscriptionsPerTopic: 2
producersPerTopic: 2
consumerPerSubscription: 2
testDurationMinutes: 0.02
warmupDurationMinutes: 0
)",
                                   {"--closed-loop"});
  check_nothing_wrong(report);
  CHECK(report["loop"] == "closed");
  CHECK(report["subscriptionType"] == "failover");
  CHECK(report["payload"] == "random");
}

TEST_CASE("a backlog is built while consumers wait, and drained") {
  const Bench bench(shared_server());
  std::string yaml = kWorkload;
  yaml.replace(yaml.find("consumerBacklogSizeGB: 0"), 24, "consumerBacklogSizeGB: 0.0002");
  const Json drained = bench.report(yaml);
  check_nothing_wrong(drained);
  CHECK(drained["backlogDrain"]["drained"] == true);
  CHECK(drained["backlogDrain"]["builtMessages"].get<std::uint64_t>() >= 2'000);
}

TEST_CASE("the highest sustained rate is sought where the file asks for none") {
  const Bench bench(shared_server());
  std::string yaml = kWorkload;
  yaml.replace(yaml.find("producerRate: 2000"), 18, "producerRate: 0");
  const Json report = bench.report(yaml, {"--search-seconds", "0.2"});
  CHECK(report["messagesLost"] == 0);
  CHECK(report["highestSustainedRate"].get<double>() > 0);
  CHECK(report["targetRate"] == report["highestSustainedRate"]);
}

TEST_CASE("a stall of the server counts for every message that was due meanwhile") {
  ServerProcess server;
  server.start();
  const Bench bench(server);
  write_file(bench.file("workload.yaml"), kWorkload);
  Process run(bench.launch(
      {"run", bench.file("workload.yaml"), "--seconds", "8", "--warm-up", "0", "--json", "-"}));
  const Cli cli(server);
  const auto something_stored = [&] {
    const Json topics = cli.json({"topic", "list"});
    for (const Json& topic : topics["topics"]) {
      const Json described = cli.json({"topic", "describe", topic["topic"]});
      for (const Json& partition : described["partitions"]) {
        if (partition["committed_offset"] > 0) return true;
      }
    }
    return false;
  };
  REQUIRE(wait_until(something_stored));
  // How long the stall lasts is what is measured: a fifth of the run, wherever it begins.
  server.process().send_signal(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'500));
  server.process().send_signal(SIGCONT);
  REQUIRE(run.wait() == kDone);
  const Json report = Json::parse(run.out());
  check_nothing_wrong(report);
  // 1.5 of 8 s: of every hundred messages 19 were due in the stall, six of them for over a second.
  CHECK(report["aggregatedPublishLatencyMax"].get<double>() > 1'400);
  CHECK(report["aggregatedPublishLatency95pct"].get<double>() > 500);
  CHECK(report["aggregatedEndToEndLatency95pct"].get<double>() > 500);
}

TEST_CASE("what is wrong with a workload is said, with status 1 and the name of the key") {
  const Bench bench(shared_server());
  write_file(bench.file("workload.yaml"), std::string(kWorkload) + "speed: 7\n");
  const CommandResult result = bench.run({"run", bench.file("workload.yaml")});
  CHECK(result.exit_code == kWrongUsage);
  CHECK(result.err.find("'speed'") != std::string::npos);
  CHECK(bench.run({"run", bench.file("missing.yaml")}).exit_code == kWrongUsage);
}

TEST_CASE("one message at a time: each has a latency of its own") {
  const Bench bench(shared_server());
  const CommandResult result =
      bench.run({"produce", "one-at-a-time", "--messages", "50", "--one-at-a-time", "--json", "-"});
  REQUIRE(result.exit_code == kDone);
  const Json report = Json::parse(result.out);
  CHECK(report["messages_acked"] == 50);
  CHECK(report["latency_ms"]["count"] == 50);
  Cli(shared_server()).ok({"topic", "delete", "one-at-a-time"});
}

TEST_CASE("reports are drawn, several in one picture") {
  const Bench bench(shared_server());
  for (const char* name : {"a.json", "b.json"}) {
    write_file(bench.file("workload.yaml"), kWorkload);
    const CommandResult result = bench.run({"run", bench.file("workload.yaml"), "--seconds", "0.5",
                                            "--warm-up", "0", "--json", bench.file(name)});
    REQUIRE(result.exit_code == kDone);
  }
  const CommandResult drawn =
      bench.run({"plot", bench.file("plot.svg"), bench.file("a.json"), bench.file("b.json")});
  CHECK(drawn.exit_code == kDone);
  const std::string svg = read_file(bench.file("plot.svg"));
  CHECK(svg.starts_with("<svg"));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(bench.run({"plot", "-", bench.file("workload.yaml")}).exit_code == kWrongUsage);
}

}  // namespace
}  // namespace andyx::test
