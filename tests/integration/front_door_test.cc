// A client that knows one address only: through a balancer that holds no partitions, and through a
// node that is asked to pass everything on.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/integration/support/cli.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

std::string lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += "k" + std::to_string(i % 7) + "|m" + std::to_string(i) + "\n";
  return text;
}

// Produces, reads and consumes all of it through `cli`.
void round_trip(const Cli& cli, const std::string& topic, const std::vector<std::string>& globals) {
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), globals.begin(), globals.end());
    return arguments;
  };
  constexpr int kMessages = 500;
  cli.ok(with({"topic", "create", topic, "--partitions", "3"}));
  cli.ok(with({"produce", topic, "--key-separator", "|", "--acks", "quorum"}), lines(kMessages));
  cli.ok(with({"produce", topic, "--producer", "till", "--instance", "single"}), "one more\n");
  const auto consumed =
      cli.ok(with({"consume", topic, "--subscription", "s", "--from", "earliest", "--mode",
                   "nonresilient", "--count", std::to_string(kMessages + 1)}));
  CHECK(std::ranges::count(consumed, '\n') == kMessages + 1);
  const auto read = cli.ok(with({"read", topic}));
  CHECK(std::ranges::count(read, '\n') == kMessages + 1);
  CHECK(wait_until([&] {
    const Json state = cli.json(with({"subscription", "describe", topic, "s"}));
    std::uint64_t lag = 0;
    for (const Json& partition : state.at("partitions"))
      lag += partition.at("lag_messages").get<std::uint64_t>();
    return lag == 0;
  }));
}

TEST_CASE(
    "a balancer without partitions passes clients on, and goes on when its broker comes back") {
  ServerProcess broker;
  broker.start();
  ServerProcess balancer(
      {.flags = {"--node-id", "2", "--roles", "balancer", "--join", broker.address()},
       .environment = {},
       .data_dir = {}});
  balancer.start();
  const Cli cli(balancer);
  round_trip(cli, "through-balancer", {});
  const Json topic = cli.json({"topic", "describe", "through-balancer"});
  for (const Json& partition : topic.at("partitions")) CHECK(partition.at("main") == 1);

  broker.kill_now();
  broker.start();
  round_trip(cli, "after-restart", {});
  CHECK(balancer.terminate() == 0);
}

TEST_CASE("any node is a front door for a client that asks for it") {
  ServerProcess& server = shared_server();
  round_trip(Cli(server), "asked-for", {"--front-door"});
}

}  // namespace
}  // namespace andyx::test
