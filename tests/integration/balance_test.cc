// Three real nodes: mains that carry much traffic are spread, while clients go on; not while
// balancing is paused.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "andyx/client.h"
#include "tests/integration/support/cluster_tool.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

constexpr Millis kPatience{120'000};

// Sends to some partitions in turn, at about 8 MiB/s, until it ends.
class Traffic {
 public:
  Traffic(const std::string& server, const std::string& topic,
          std::vector<std::uint32_t> partitions)
      : client_(client::Client::connect({.servers = {server}}).value()),
        producer_(client_.producer({.topic = topic, .linger_ms = 0}).value()),
        partitions_(std::move(partitions)),
        thread_([this] { run(); }) {}
  ~Traffic() { end(); }

  // Everything sent is answered; what failed.
  std::uint64_t end() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return producer_.stats().messages_failed;
  }
  std::uint64_t sent_bytes() const { return sent_bytes_; }

 private:
  void run() {
    std::mt19937_64 random(7);
    std::string payload(64 * 1024, 'x');
    for (std::size_t i = 0; !stopping_; ++i) {
      for (std::size_t at = 0; at < payload.size(); at += 97)
        payload[at] = static_cast<char>(random());
      const client::OutMessage message{.payload = payload,
                                       .partition = partitions_[i % partitions_.size()]};
      if (!producer_.send(message)) continue;
      sent_bytes_ += payload.size();
      std::this_thread::sleep_for(std::chrono::milliseconds(8));  // about 8 MB/s
    }
    (void)producer_.close();
  }

  client::Client client_;
  client::Producer producer_;
  std::vector<std::uint32_t> partitions_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> sent_bytes_{0};
  std::thread thread_;
};

std::vector<NodeId> mains(const Cli& cli, const std::string& topic) {
  std::vector<NodeId> nodes;
  const Json described = cli.json({"topic", "describe", topic});
  for (const Json& partition : described.at("partitions"))
    nodes.push_back(partition.at("main").get<NodeId>());
  return nodes;
}

// Those that the main of the first one leads.
std::vector<std::uint32_t> led_by_one(const Cli& cli, const std::string& topic) {
  std::vector<std::uint32_t> led;
  const std::vector<NodeId> all = mains(cli, topic);
  for (std::uint32_t index = 0; index < all.size(); ++index) {
    if (all[index] == all[0]) led.push_back(index);
  }
  return led;
}

// The most of these partitions that one node leads.
std::size_t most_on_one(const Cli& cli, const std::string& topic,
                        const std::vector<std::uint32_t>& partitions) {
  std::map<NodeId, std::size_t> counts;
  const std::vector<NodeId> all = mains(cli, topic);
  for (const std::uint32_t index : partitions) ++counts[all[index]];
  std::size_t most = 0;
  for (const auto& [node, count] : counts) most = std::max(most, count);
  return most;
}

// One node has most of the traffic, and that is told.
bool told_uneven(const Cli& cli) {
  const Json balance = cli.json({"cluster", "balance"});
  if (balance.at("mains_by") != Json{"number", "traffic"}) return false;
  const Json& uneven = balance.at("uneven");
  return std::ranges::any_of(uneven, [](const Json& off) {
    return off.at("of") == "mains" && off.at("measured_percent") > 200;
  });
}

// Elections of single mains that the controller has decided by itself. (That of a lost node's mains
// are none.)
bool has_spread(const ClusterTool& nodes) {
  for (int node = 1; node <= 3; ++node) {
    if (nodes.log(node).find("cluster decides what=\"main of") != std::string::npos) return true;
  }
  return false;
}

TEST_CASE("hot mains on one node are spread by their traffic, unless balancing is paused") {
  ClusterTool nodes(3);
  nodes.start_somewhere();
  const Cli cli(nodes.address());
  cli.ok({"cluster", "balance", "--pause"});
  std::string topic;
  std::vector<std::uint32_t> hot;
  std::unique_ptr<Traffic> traffic;
  // Once more where a slow machine has lost the node meanwhile, and its mains are elsewhere.
  for (int tries = 0;; ++tries) {
    REQUIRE(tries < 5);
    topic = "uneven-" + std::to_string(tries);
    cli.ok({"topic", "create", topic, "--partitions", "12", "--replication-factor", "3"});
    hot = led_by_one(cli, topic);
    traffic = std::make_unique<Traffic>(nodes.address(), topic, hot);
    // Seen, told, and left as it is for as long as it would take to be moved.
    if (!wait_until([&] { return told_uneven(cli); })) continue;
    const std::uint64_t seen = traffic->sent_bytes();
    REQUIRE(wait_until([&] { return traffic->sent_bytes() > seen + (128u << 20); }, kPatience));
    if (told_uneven(cli) && most_on_one(cli, topic, hot) > 2) break;
  }
  CHECK_FALSE(has_spread(nodes));
  const Json told = cli.json({"cluster", "nodes"});
  std::uint64_t in_rate = 0;
  for (const Json& node : told.at("nodes")) in_rate += node.at("in_rate").get<std::uint64_t>();
  CHECK(in_rate > 3u << 20);

  cli.ok({"cluster", "balance", "--resume"});
  REQUIRE(wait_until([&] { return most_on_one(cli, topic, hot) <= 2; }, kPatience));
  CHECK(has_spread(nodes));
  CHECK(traffic->end() == 0);
}

}  // namespace
}  // namespace andyx::test
