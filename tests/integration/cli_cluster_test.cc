// andyx-cli cluster against a server that is a cluster by itself, and tools/cluster with one node.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/integration/support/cluster_tool.h"

namespace andyx::test {
namespace {

std::string text_of(const Json& json, const char* name) { return json.at(name).get<std::string>(); }

TEST_CASE("one node is a cluster: online, its own controller and only voter") {
  ServerProcess& server = shared_server();
  const Cli cli(server);
  const Json status = cli.json({"cluster", "status"});
  CHECK(status.at("status") == "online");
  CHECK(status.at("controller") == 1);
  CHECK(status.at("controller_epoch") > 0);
  CHECK(status.at("voters") == Json{1});
  CHECK(status.at("without_main") == 0);
  CHECK(status.at("under_replicated") == 0);
  CHECK(status.at("balancing_paused") == false);
  CHECK(status.at("note") == "");
  CHECK(status.at("cluster_id") == cli.json({"node", "status"}).at("cluster_id"));
  REQUIRE(status.at("nodes").size() == 1);
  const Json& node = status.at("nodes")[0];
  CHECK(node.at("node_id") == 1);
  CHECK(node.at("status") == "online");
  CHECK(node.at("port") == server.port());
  CHECK(node.at("controller") == true);
  CHECK(node.at("voter") == true);
  CHECK(node.at("version") == status.at("version"));
  CHECK(node.at("disk_free_bytes") > 0);
  CHECK(cli.json({"cluster", "nodes"}).at("nodes")[0].at("incarnation") == node.at("incarnation"));
  CHECK(cli.ok({"cluster", "status"}).find("is online") != std::string::npos);
  CHECK(cli.ok({"cluster", "nodes"}).find("broker,metadata,balancer") != std::string::npos);
}

TEST_CASE("partitions and copies are counted") {
  const Cli cli(shared_server());
  const auto counted = [&] { return cli.json({"cluster", "status"}); };
  const Json before = counted();
  cli.ok({"topic", "create", "counted", "--partitions", "3", "--replication-factor", "1"});
  const Json after = counted();
  CHECK(after.at("partitions").get<int>() == before.at("partitions").get<int>() + 3);
  const auto copies = [](const Json& status) {
    return status.at("nodes")[0].at("copies").get<int>();
  };
  CHECK(copies(after) == copies(before) + 3);
  cli.refused(ErrorCode::kBadArgument,
              {"topic", "create", "too-many-copies", "--replication-factor", "2"});
  cli.refused(ErrorCode::kBadArgument, {"topic", "alter", "counted", "--replication-factor", "2"});
  const Json partition = cli.json({"topic", "describe", "counted"}).at("partitions")[0];
  CHECK(partition.at("min_in_sync") == 1);
  CHECK(partition.at("observers").empty());
}

TEST_CASE("what clients bring, read and are delivered is counted, and so is what is stored") {
  const Cli cli(shared_server());
  const auto told = [&](const char* name) {
    return cli.json({"cluster", "nodes"}).at("nodes")[0].at(name).get<std::uint64_t>();
  };
  const auto rises = [&](const char* name, std::uint64_t above) {
    return wait_until([&] { return told(name) > above; });
  };
  cli.ok({"topic", "create", "measured"});
  const std::uint64_t in = told("bytes_in"), out = told("bytes_out");
  cli.ok({"produce", "measured"}, std::string(1'000, 'x') + '\n');
  CHECK(rises("bytes_in", in + 999));
  cli.ok({"read", "measured"});
  CHECK(rises("bytes_out", out + 999));
  cli.ok({"consume", "measured", "--subscription", "s", "--from", "earliest", "--count", "1"});
  CHECK(rises("bytes_out", out + 1'999));
  CHECK(rises("out_rate", 0));
  CHECK(rises("stored_bytes", 999));
}

TEST_CASE("safe-to-stop: no for the only node, with the reason and status 3") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "held"});
  const CommandResult table = cli.run({"cluster", "safe-to-stop", "1"});
  CHECK(table.exit_code == kRefused);
  CHECK(table.out.find("holds the last copy in sync") != std::string::npos);
  CHECK(table.err.empty());
  const CommandResult result = cli.run({"--output", "json", "cluster", "safe-to-stop", "1"});
  CHECK(result.exit_code == kRefused);
  const Json advice = Json::parse(result.out);
  CHECK(advice.at("node_id") == 1);
  CHECK(advice.at("safe") == false);
  CHECK(text_of(advice, "why").find("last copy in sync") != std::string::npos);
  cli.refused(ErrorCode::kUnknownNode, {"cluster", "safe-to-stop", "9"});
}

TEST_CASE("the only node drains, says that nobody takes its copies, and serves on") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"topic", "create", "stays"});
  CHECK(cli.json({"cluster", "drain", "1"}).at("draining") == true);
  const Json status = cli.json({"cluster", "status"});
  CHECK(status.at("nodes")[0].at("status") == "draining");
  CHECK(status.at("nodes")[0].at("draining") == true);
  CHECK(text_of(status, "note").find("no other node can take its copies") != std::string::npos);
  cli.ok({"produce", "stays"}, "still here\n");
  CHECK(cli.ok({"read", "stays"}) == "still here\n");
  CHECK(cli.json({"cluster", "drain", "1", "--off"}).at("draining") == false);
  CHECK(cli.json({"cluster", "status"}).at("nodes")[0].at("status") == "online");
  cli.refused(ErrorCode::kUnknownNode, {"cluster", "drain", "9"});
}

TEST_CASE("remove: not a node that is unknown, holds copies, or is the last") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.refused(ErrorCode::kUnknownNode, {"cluster", "remove", "9"});
  cli.refused(ErrorCode::kBadArgument, {"cluster", "remove", "1"});
  CHECK(cli.json({"cluster", "status"}).at("nodes").size() == 1);
}

TEST_CASE("balancing is paused until it is resumed, also over a restart") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  CHECK(cli.json({"cluster", "balance"}).at("balancing_paused") == false);
  CHECK(cli.json({"cluster", "balance", "--pause"}).at("balancing_paused") == true);
  REQUIRE(server.terminate().value_or(-1) == 0);
  server.start();
  CHECK(cli.json({"cluster", "balance"}).at("balancing_paused") == true);
  CHECK(cli.ok({"cluster", "status"}).find("balancing is paused") != std::string::npos);
  CHECK(cli.json({"cluster", "balance", "--resume"}).at("balancing_paused") == false);
}

TEST_CASE("move and elect say what is wrong with their arguments") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "placed", "--partitions", "2"});
  const std::vector<std::vector<std::string>> commands = {{"cluster", "move"},
                                                          {"cluster", "elect"}};
  for (const auto& command : commands) {
    const auto with = [&](const char* topic, const char* partition, const char* to) {
      std::vector<std::string> words = command;
      for (const char* word : {topic, partition, "--to", to}) words.emplace_back(word);
      return words;
    };
    CAPTURE(command.back());
    cli.refused(ErrorCode::kUnknownTopic, with("no-such-topic", "0", "1"));
    cli.refused(ErrorCode::kBadName, with("b@d", "0", "1"));
    cli.refused(ErrorCode::kBadArgument, with("placed", "2", "1"));
    cli.ok(with("placed", "0", "1"));  // it is the main already
  }
  cli.refused(ErrorCode::kUnknownNode, {"cluster", "move", "placed", "0", "--to", "9"});
  cli.refused(ErrorCode::kNotInSync, {"cluster", "elect", "placed", "0", "--to", "9"});
  cli.refused(ErrorCode::kBadArgument,
              {"cluster", "elect", "placed", "0", "--to", "9", "--accept-data-loss"});
  const Json partition = cli.json({"topic", "describe", "placed"}).at("partitions")[0];
  CHECK(partition.at("main") == 1);
  CHECK(partition.at("replicas") == Json{1});
}

TEST_CASE("tools/cluster starts a cluster that outlives it, and stops it with its data kept") {
  const ClusterTool cluster;
  const auto exit_of = [&](std::vector<std::string> words) {
    return Cli(cluster.address()).run(std::move(words)).exit_code;
  };
  CommandResult said = cluster.start();
  INFO("said: ", said.out, said.err);
  REQUIRE(said.exit_code == 0);
  CHECK(said.out.ends_with("OK: 1 node is online\n"));
  CHECK(exit_of({"topic", "create", "kept"}) == kDone);
  CHECK(cluster.start().exit_code == 0);  // it runs already
  CHECK(cluster.stop().exit_code == 0);
  CHECK(exit_of({"topic", "list"}) == kNotReachable);
  REQUIRE(cluster.start().exit_code == 0);
  CHECK(exit_of({"topic", "describe", "kept"}) == kDone);
  CHECK(cluster.stop().exit_code == 0);
}

TEST_CASE("messages that fail too often become dead letters on another node") {
  ClusterTool nodes(2);
  nodes.start_somewhere();
  const Cli cli(nodes.address());
  const auto main_of = [&](const char* topic) {
    return cli.json({"topic", "describe", topic}).at("partitions")[0].at("main").get<NodeId>();
  };
  for (const char* topic : {"poison", "poison.dead"})
    cli.ok({"topic", "create", topic, "--partitions", "1", "--replication-factor", "1"});
  const NodeId here = main_of("poison"), there = 3 - here;
  cli.ok({"cluster", "move", "poison.dead", "0", "--to", std::to_string(there)});
  REQUIRE(wait_until([&] { return main_of("poison.dead") == there; }));

  cli.ok({"produce", "poison"}, "m0\nm1\nm2\n");
  const auto consume = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"consume", "poison", "--subscription",
                                      "s",       "--from", "earliest"};
    words.insert(words.end(), more.begin(), more.end());
    return cli.ok(words);
  };
  consume({"--answer", "unack", "--max-deliveries", "2", "--count", "6"});
  const auto dead_lettered = [&] {
    const Json described = cli.json({"subscription", "describe", "poison", "s"});
    return described.at("partitions")[0].at("dead_lettered") == 3;
  };
  REQUIRE(wait_until(dead_lettered));
  const std::string letters = cli.ok({"dead", "list", "poison"});
  for (const char* payload : {"m0", "m1", "m2"}) CHECK(letters.find(payload) != std::string::npos);
  CHECK(main_of("poison.dead") == there);
  CHECK(cli.json({"dead", "redrive", "poison"}).at("redriven") == 3);
  CHECK(consume({"--count", "3"}).find("m2") != std::string::npos);
}

TEST_CASE("any node passes questions on to the controller, and says so when that is silent") {
  ClusterTool nodes(2);  // the first one is the only voter
  nodes.start_somewhere();
  const Cli first(nodes.address(1)), second(nodes.address(2));
  first.ok({"topic", "create", "spread", "--partitions", "4", "--replication-factor", "1"});

  // What only the controller knows: how the other one is, once it has told.
  Json status;
  REQUIRE(wait_until([&] {
    status = second.json({"cluster", "status"});
    const Json& nodes_told = status.at("nodes");
    return std::ranges::all_of(nodes_told,
                               [](const Json& node) { return !node.at("version").is_null(); });
  }));
  CHECK(status.at("status") == "online");
  CHECK(status.at("controller") == 1);
  CHECK(status.at("controller_epoch") > 0);
  CHECK(status.at("voters") == Json{1});
  CHECK(text_of(status, "note").find("one voter") != std::string::npos);
  REQUIRE(status.at("nodes").size() == 2);
  for (const Json& node : status.at("nodes")) CHECK(node.at("version") > 0);
  CHECK(second.json({"cluster", "balance"}).at("mains_by") == Json{"number"});
  const CommandResult only = second.run({"cluster", "safe-to-stop", "1"});
  CHECK(only.exit_code == kRefused);
  CHECK(only.out.find("the controller does not answer") == std::string::npos);

  nodes.kill(1);
  const Json silent = second.json({"cluster", "status"});
  CHECK(silent.at("status") == "offline");
  CHECK(text_of(silent, "note").find("the controller does not answer: ") != std::string::npos);
  REQUIRE(silent.at("nodes").size() == 2);
  CHECK(silent.at("nodes")[0].at("version").is_null());  // nobody here has heard of it
  CHECK(silent.at("nodes")[1].at("version") > 0);
  const CommandResult unsafe = second.run({"cluster", "safe-to-stop", "2"});
  CHECK(unsafe.exit_code == kRefused);
  CHECK(unsafe.out.find("the controller does not answer: ") != std::string::npos);
}

}  // namespace
}  // namespace andyx::test
