#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tools/bench/workload/payloads.h"
#include "tools/bench/workload/workload.h"

using namespace andyx;

namespace {

// A file as the benchmark's own look.
constexpr const char* kExample = R"(# comment
name: 1 topic / 16 partitions / 100b

topics: 1
partitionsPerTopic: 16
keyDistributor: "KEY_ROUND_ROBIN"
messageSize: 100
payloadFile: "payload/payload-100b.data"
subscriptionsPerTopic: 2
consumerPerSubscription: 4
producersPerTopic: 3
producerRate: 50000
consumerBacklogSizeGB: 0
testDurationMinutes: 15
)";

std::string error_of(const std::string& yaml) {
  const auto workload = bench::parse_workload(yaml);
  REQUIRE_FALSE(workload.has_value());
  CHECK(workload.error().code == ErrorCode::kBadArgument);
  return workload.error().message;
}

bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a workload file of the OpenMessaging Benchmark is read as it is") {
  const auto workload = bench::parse_workload(kExample);
  REQUIRE(workload.has_value());
  CHECK(workload->name == "1 topic / 16 partitions / 100b");
  CHECK(workload->topics == 1);
  CHECK(workload->partitions_per_topic == 16);
  CHECK(workload->key_distributor == bench::KeyDistributor::kRoundRobin);
  CHECK(workload->message_bytes == 100);
  CHECK(workload->payload_file == "payload/payload-100b.data");
  CHECK(workload->subscriptions_per_topic == 2);
  CHECK(workload->total_consumers() == 8);
  CHECK(workload->total_producers() == 3);
  CHECK(workload->producer_rate == 50'000);
  CHECK(workload->backlog_gb == 0);
  CHECK(workload->test_minutes == 15);
  CHECK(workload->warmup_minutes == 1);  // the benchmark's default
}

TEST_CASE("a key that is not known is named, with its line and what is known") {
  const std::string message = error_of(std::string(kExample) + "producersRate: 7\n");
  CHECK(has(message, "line 15"));
  CHECK(has(message, "'producersRate'"));
  CHECK(has(message, "producerRate"));
}

TEST_CASE("a value out of its range is refused, and what it should be is said") {
  const std::string good = "messageSize: 10\ntestDurationMinutes: 1\n";
  CHECK(bench::parse_workload(good).has_value());
  CHECK(has(error_of(good + "topics: 0\n"), "topics should be a whole number from 1"));
  CHECK(has(error_of(good + "topics: 1.5\n"), "topics"));
  CHECK(has(error_of(good + "producerRate: -1\n"), "producerRate"));
  CHECK(has(error_of(good + "producerRate: fast\n"), "producerRate"));
  CHECK(has(error_of(good + "keyDistributor: KEYS\n"), "KEY_ROUND_ROBIN"));
  CHECK(has(error_of(good + "useRandomizedPayloads: 7\n"), "true or false"));
  CHECK(has(error_of("testDurationMinutes: 1\n"), "messageSize"));
  CHECK(has(error_of("messageSize: 10\n"), "testDurationMinutes"));
  CHECK(has(error_of(good + "consumerBacklogSizeGB: 1\n"), "producerRate"));
  CHECK(has(error_of(good + "topics: 100\nproducersPerTopic: 101\n"), "producersPerTopic"));
  CHECK(has(error_of("- a list\n"), "map"));
  CHECK(has(error_of("a: [\n"), "not YAML"));
  CHECK(bench::load_workload("/nonexistent.yaml").error().code == ErrorCode::kIo);
}

TEST_CASE("random payloads are as random as they should be; each has the message's size") {
  bench::Workload workload;
  workload.message_bytes = 1'000;
  workload.randomized_payloads = true;
  workload.random_bytes_ratio = 0.25;
  workload.randomized_payload_pool = 3;
  const auto payloads = bench::make_payloads(workload, ".", 7);
  REQUIRE(payloads.has_value());
  REQUIRE(payloads->pool.size() == 3);
  CHECK(payloads->pool[0] != payloads->pool[1]);
  for (const std::string& payload : payloads->pool) {
    REQUIRE(payload.size() == 1'000);
    CHECK(payload.substr(250) == std::string(750, '\0'));
  }
  CHECK(payloads->stamped());
}

TEST_CASE("a payload file is found beside the workload; one of another size is refused") {
  std::string directory = std::filesystem::temp_directory_path() / "andyx-payload-test-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  std::ofstream(directory + "/four.data") << "abcd";
  bench::Workload workload;
  workload.message_bytes = 4;
  workload.payload_file = "four.data";
  const auto payloads = bench::make_payloads(workload, directory, 1);
  REQUIRE(payloads.has_value());
  CHECK(payloads->pool.front() == "abcd");
  CHECK(payloads->origin == "four.data");
  CHECK_FALSE(payloads->stamped());  // too small to say who it is
  workload.message_bytes = 5;
  CHECK(bench::make_payloads(workload, directory, 1).error().code == ErrorCode::kBadArgument);
  workload.payload_file = "missing.data";
  const auto generated = bench::make_payloads(workload, directory, 1);
  REQUIRE(generated.has_value());
  CHECK(generated->origin == "generated");
  CHECK(generated->pool.front().size() == 5);
  std::filesystem::remove_all(directory);
}
