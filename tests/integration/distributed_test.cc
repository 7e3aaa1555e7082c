// The documented example of a distributed cluster: two nodes, one copy of each partition.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tests/integration/support/cli.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

TEST_CASE("two distributed nodes get two each of four messages without a key") {
  ServerProcess first;
  first.start();
  ServerProcess second(
      {.flags = {"--node-id", "2", "--join", first.address()}, .environment = {}, .data_dir = {}});
  second.start();
  const Cli cli(first);
  REQUIRE(wait_until([&] {
    const Json status = cli.json({"cluster", "status"});
    return status.at("status") == "online" && status.at("nodes").size() == 2;
  }));
  cli.ok({"topic", "create", "example", "--partitions", "2", "--replication-factor", "1"});
  cli.ok({"produce", "example"}, "one\ntwo\nthree\nfour\n");

  std::set<std::string> all;
  std::set<NodeId> mains;
  // It is the same through either of them.
  for (const ServerProcess* through : {&first, &second}) {
    const Cli reader(*through);
    const Json topic = reader.json({"topic", "describe", "example"});
    REQUIRE(topic.at("partitions").size() == 2);
    for (const Json& partition : topic.at("partitions")) {
      CHECK(partition.at("replicas").size() == 1);
      CHECK(partition.at("committed_offset") == 2);
      mains.insert(partition.at("main").get<NodeId>());
      const std::string index = std::to_string(partition.at("partition").get<int>());
      const auto read = lines_of(reader.ok({"read", "example", "--partition", index}));
      CHECK(read.size() == 2);
      all.insert(read.begin(), read.end());
    }
  }
  CHECK(mains == std::set<NodeId>{1, 2});
  CHECK(all == std::set<std::string>{"one", "two", "three", "four"});
}

}  // namespace
}  // namespace andyx::test
