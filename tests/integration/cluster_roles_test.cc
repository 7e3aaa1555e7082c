// Clusters of real processes, formed by configuration alone: nodes that hold metadata only and
// nodes that hold messages only; and the copies of topics in a cluster of three.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/support/cli.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

class Cluster {
 public:
  // The first begins the cluster, the others join it.
  void add(const std::string& roles) {
    std::vector<std::string> flags = {"--node-id", std::to_string(nodes_.size() + 1), "--roles",
                                      roles};
    if (!nodes_.empty()) {
      flags.emplace_back("--join");
      flags.push_back(nodes_.front()->address());
    }
    nodes_.push_back(std::make_unique<ServerProcess>(
        ServerOptions{.flags = std::move(flags), .environment = {}, .data_dir = {}}));
    nodes_.back()->start();
  }
  ServerProcess& node(NodeId id) { return *nodes_.at(id - 1); }

 private:
  std::vector<std::unique_ptr<ServerProcess>> nodes_;
};

Json partitions_of(const Cli& cli, const std::string& topic) {
  return cli.json({"topic", "describe", topic}).at("partitions");
}

// Every partition has as many copies as that, all of them in sync.
bool has_copies(const Cli& cli, const std::string& topic, std::size_t copies) {
  for (const Json& p : partitions_of(cli, topic)) {
    if (p.at("replicas").size() != copies || p.at("in_sync").size() != copies) return false;
  }
  return true;
}

TEST_CASE("dedicated metadata nodes: brokers hold the messages, and one voter may die") {
  Cluster cluster;
  for (int i = 0; i < 3; ++i) cluster.add("metadata");
  for (int i = 0; i < 2; ++i) cluster.add("broker");
  const Cli cli(cluster.node(4));
  CHECK(wait_until([&] {
    const Json status = cli.json({"cluster", "status"});
    return status.at("status") == "online" && status.at("voters") == Json({1, 2, 3});
  }));
  cli.ok({"topic", "create", "orders", "--partitions", "4", "--replication-factor", "2"});
  CHECK(wait_until([&] { return has_copies(cli, "orders", 2); }));
  for (const Json& p : partitions_of(cli, "orders"))
    for (const Json& node : p.at("replicas")) CHECK(node.get<NodeId>() >= 4);
  cli.refused(ErrorCode::kBadArgument,
              {"topic", "create", "too-many", "--replication-factor", "3"});
  cli.ok({"produce", "orders", "--acks", "quorum"}, "one\ntwo\nthree\n");

  const NodeId controller = cli.json({"cluster", "status"}).at("controller").get<NodeId>();
  CHECK(controller <= 3);
  cluster.node(controller).kill_now();
  CHECK(wait_until([&] { return cli.run({"topic", "create", "more"}).exit_code == kDone; }));
  cli.ok({"produce", "orders", "--acks", "quorum"}, "four\n");
  const std::string read = cli.ok({"read", "orders"});
  for (const char* message : {"one\n", "two\n", "three\n", "four\n"})
    CHECK(read.find(message) != std::string::npos);
}

TEST_CASE("copies of topics: as many as asked for, and what an acknowledgement is worth") {
  Cluster cluster;
  for (int i = 0; i < 3; ++i) cluster.add("broker,metadata,balancer");
  const Cli cli(cluster.node(1));
  REQUIRE(
      wait_until([&] { return cli.json({"cluster", "status"}).at("voters") == Json({1, 2, 3}); }));
  const auto produce = [&](const std::string& topic) {
    return cli.run({"--output", "json", "produce", topic, "--acks", "quorum"}, "x\n");
  };
  const auto copies = [](const CommandResult& result) {
    return Json::parse(result.out).at("copies").get<int>();
  };

  SUBCASE("a topic that is created by producing has three") {
    cli.ok({"produce", "by-producing"}, "x\n");
    CHECK(wait_until([&] { return has_copies(cli, "by-producing", 3); }));
    CHECK(copies(produce("by-producing")) == 3);
  }
  SUBCASE("the replication factor goes up and down, and the messages stay") {
    cli.ok({"topic", "create", "grows", "--partitions", "3", "--replication-factor", "1"});
    CHECK(copies(produce("grows")) == 1);
    cli.ok({"topic", "alter", "grows", "--replication-factor", "3"});
    CHECK(wait_until([&] { return has_copies(cli, "grows", 3); }));
    CHECK(copies(produce("grows")) == 3);
    cli.ok({"topic", "alter", "grows", "--replication-factor", "1"});
    CHECK(wait_until([&] { return has_copies(cli, "grows", 1); }));
    CHECK(cli.ok({"read", "grows"}) == "x\nx\n");
  }
  SUBCASE("with async copies quorum is the main only, and everybody is told") {
    cli.ok({"topic", "create", "behind", "--replication-factor", "2", "--async"});
    CHECK(partitions_of(cli, "behind")[0].at("quorum_note") == "main only");
    CHECK(cli.ok({"topic", "describe", "behind"}).find("quorum = main only\n") !=
          std::string::npos);
    const CommandResult produced = produce("behind");
    CHECK(copies(produced) == 1);
    CHECK(produced.err.find("quorum was one copy") != std::string::npos);
  }
  SUBCASE("an async copy never becomes main by itself, only by the command that says so") {
    cli.ok({"topic", "create", "backed-up", "--partitions", "6", "--replication-factor", "2",
            "--async"});
    cli.ok({"produce", "backed-up"}, "0\n1\n2\n3\n4\n5\n");
    // One that node 1, which is asked all this, neither leads nor has to be asked for.
    const Json all = partitions_of(cli, "backed-up");
    const auto away = std::ranges::find_if(all, [](const Json& p) { return p.at("main") != 1; });
    REQUIRE(away != all.end());
    const auto partition = away->at("partition").get<std::size_t>();
    const NodeId main = away->at("main").get<NodeId>();
    const NodeId observer = away->at("observers").at(0).get<NodeId>();
    const auto now = [&] { return partitions_of(cli, "backed-up")[partition]; };
    REQUIRE(wait_until([&] {
      const Json offsets = now().at("replica_offsets");
      return std::ranges::all_of(offsets, [](const Json& offset) { return offset == 1; });
    }));

    cluster.node(main).kill_now();
    REQUIRE(wait_until([&] { return now().at("main") == 0; }));
    const std::string index = std::to_string(partition), to = std::to_string(observer);
    cli.refused(ErrorCode::kNotInSync, {"cluster", "elect", "backed-up", index, "--to", to});
    CHECK(now().at("main") == 0);
    cli.ok({"cluster", "elect", "backed-up", index, "--to", to, "--accept-data-loss"});
    CHECK(wait_until([&] { return now().at("main") == observer; }));
    CHECK(wait_until([&] {
      const CommandResult read = cli.run({"read", "backed-up", "--partition", index});
      return read.exit_code == kDone && std::ranges::count(read.out, '\n') == 1;
    }));
  }
  SUBCASE("with two copies quorum may be one disk") {
    cli.ok({"topic", "create", "two", "--replication-factor", "2"});
    CHECK(partitions_of(cli, "two")[0].at("quorum_note") == "may be one disk");
    CHECK(wait_until([&] { return has_copies(cli, "two", 2); }));
    const CommandResult produced = produce("two");
    CHECK(copies(produced) == 2);
    CHECK(produced.err.empty());
  }
  SUBCASE("a node that was drained is added again") {
    CHECK(cli.json({"cluster", "drain", "2"}).at("draining") == true);
    CHECK(cli.json({"cluster", "add", "2"}).at("draining") == false);
    const CommandResult unknown = cli.run({"cluster", "add", "9"});
    CHECK(unknown.exit_code == kRefused);
    CHECK(unknown.err.find("--node-id 9 --join " + cluster.node(1).address()) != std::string::npos);
  }
}

}  // namespace
}  // namespace andyx::test
