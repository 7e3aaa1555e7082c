// A topic gets more partitions under producers and consumers at work: those that are attached get
// the new ones without doing anything, from the first message on.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "andyx/client.h"
#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

constexpr std::uint32_t kBefore = 2, kAfter = 6;

// Numbers, message by message to the next partition, until it is stopped.
class Numbers {
 public:
  Numbers(const ServerProcess& server, const std::string& topic)
      : client_(*client::Client::connect({.servers = {server.address()}})),
        producer_(*client_.producer({.topic = topic, .linger_ms = 0})),
        thread_([this] { run(); }) {}
  ~Numbers() { stop(); }

  std::uint32_t partitions() const { return producer_.partitions(); }
  std::uint64_t acked() const { return producer_.stats().messages_acked; }
  std::uint64_t stop() {  // how many there are
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    CHECK_FALSE(failed_);
    return sent_;
  }

 private:
  void run() {
    while (!stopping_) {
      failed_ = !producer_.send_and_wait({.payload = std::to_string(sent_)}).has_value();
      if (failed_) return;
      ++sent_;
    }
  }

  client::Client client_;
  client::Producer producer_;
  std::atomic<bool> stopping_ = false, failed_ = false;
  std::uint64_t sent_ = 0;
  std::thread thread_;
};

struct Received {
  std::multiset<std::string> payloads;
  std::map<std::uint32_t, std::set<Offset>> offsets;  // by partition
};

Received received_by(const std::vector<std::unique_ptr<Process>>& consumers) {
  Received all;
  for (const auto& consumer : consumers) {
    const std::string out = consumer->out();
    for (const std::string& line : split_lines(out.substr(0, out.rfind('\n') + 1))) {
      const Json message = Json::parse(line);
      all.payloads.insert(message.at("payload"));
      all.offsets[message.at("partition")].insert(message.at("offset").get<Offset>());
    }
  }
  return all;
}

std::size_t lines_of(const std::vector<std::unique_ptr<Process>>& consumers) {
  std::size_t lines = 0;
  for (const auto& consumer : consumers) {
    const std::string out = consumer->out();
    lines += static_cast<std::size_t>(std::ranges::count(out, '\n'));
  }
  return lines;
}

// By consumer: when it attached, and on how many partitions it is active.
struct Attached {
  std::string since;
  std::size_t partitions = 0;
};
std::map<std::string, Attached> attached(const Cli& cli, const std::string& topic) {
  std::map<std::string, Attached> by_name;
  const Json described = cli.json({"subscription", "describe", topic, "s"});
  for (const Json& consumer : described.at("consumers"))
    by_name[consumer.at("consumer")] = {consumer.at("attached"), consumer.at("active").size()};
  return by_name;
}

void grow_under(const std::string& type, const std::vector<std::string>& names,
                std::size_t share_before, std::size_t share_after) {
  const Cli cli(shared_server());
  const std::string topic = "grow-" + type;
  cli.ok({"topic", "create", topic, "--partitions", std::to_string(kBefore)});
  // From latest: of what is added later nothing is left out all the same.
  cli.ok({"subscription", "create", topic, "s", "--type", type, "--mode", "nonresilient", "--from",
          "latest"});
  std::vector<std::unique_ptr<Process>> consumers;
  for (const std::string& name : names)
    consumers.push_back(cli.start(
        {"consume", topic, "--subscription", "s", "--consumer", name, "--print", "json"}));
  const auto everybody_has = [&](std::size_t partitions) {
    const auto now = attached(cli, topic);
    return now.size() == names.size() && std::ranges::all_of(now, [&](const auto& consumer) {
             return consumer.second.partitions == partitions;
           });
  };
  REQUIRE(wait_until([&] { return everybody_has(share_before); }));
  const auto before = attached(cli, topic);

  Numbers numbers(shared_server(), topic);
  REQUIRE(wait_until([&] { return numbers.acked() > 50; }));
  cli.ok({"topic", "alter", topic, "--partitions", std::to_string(kAfter)});
  REQUIRE(wait_until([&] { return numbers.partitions() == kAfter; }));
  CHECK(wait_until([&] { return everybody_has(share_after); }));
  const std::uint64_t grown = numbers.acked();
  REQUIRE(wait_until([&] { return numbers.acked() > grown + 100; }));
  const std::uint64_t sent = numbers.stop();

  CHECK(wait_until([&] { return lines_of(consumers) >= sent; }));
  const Received all = received_by(consumers);
  CHECK(all.payloads.size() == sent);  // nobody died, so none came twice
  CHECK(std::set<std::string>(all.payloads.begin(), all.payloads.end()).size() == sent);
  REQUIRE(all.offsets.size() == kAfter);
  for (const auto& [partition, offsets] : all.offsets) {
    INFO("partition ", partition);
    CHECK(*offsets.begin() == 0);
    CHECK(*offsets.rbegin() == offsets.size() - 1);
  }
  for (const auto& [name, now] : attached(cli, topic)) CHECK(now.since == before.at(name).since);
  for (const auto& consumer : consumers) CHECK(consumer->running());
  CHECK(wait_until(
      [&] { return cli.json({"subscription", "describe", topic, "s"}).at("lag_messages") == 0; }));
}

}  // namespace

TEST_CASE("partitions that are added go to the attached consumers, from their first message on") {
  SUBCASE("shared: to all") { grow_under("shared", {"a", "b"}, kBefore, kAfter); }
  SUBCASE("failover: spread evenly") {
    grow_under("failover", {"a", "b"}, kBefore / 2, kAfter / 2);
  }
  SUBCASE("unique: to the one") { grow_under("unique", {"a"}, kBefore, kAfter); }
}

}  // namespace andyx::test
