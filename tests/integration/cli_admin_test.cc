// andyx-cli: usage, topics, node status, and how it finds (or does not find) its server.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

std::vector<std::string> listed_topics(const Cli& cli) {
  std::vector<std::string> names;
  const Json listed = cli.json({"topic", "list"});
  for (const Json& topic : listed.at("topics")) {
    names.push_back(topic.at("topic"));
  }
  return names;
}

bool is_listed(const Cli& cli, const std::string& topic) {
  const std::vector<std::string> names = listed_topics(cli);
  return std::ranges::find(names, "andyx://default/default/default/" + topic) != names.end();
}

TEST_CASE("help and version are there for the program, and help for every command") {
  const std::vector<std::vector<std::string>> commands = {
      {},
      {"topic"},
      {"topic", "create"},
      {"produce"},
      {"read"},
      {"consume"},
      {"subscription"},
      {"subscription", "reset"},
      {"node", "status"},
      {"tenant"},
      {"product", "create"},
      {"component", "settings"},
      {"retention", "set"},
      {"topic", "alter"},
      {"topic", "settings"},
  };
  for (std::vector<std::string> arguments : commands) {
    arguments.insert(arguments.begin(), cli_binary());
    arguments.push_back("--help");
    const CommandResult result = run_command({.argv = arguments});
    INFO("arguments: ", arguments.size() > 1 ? arguments[1] : "", " ", result.err);
    CHECK(result.exit_code == kDone);
    CHECK(!result.out.empty());
  }
  const CommandResult version = run_command({.argv = {cli_binary(), "--version"}});
  CHECK(version.exit_code == kDone);
  CHECK(version.out.find("andyx-cli") != std::string::npos);
}

TEST_CASE("wrong usage is status 1 and says what is wrong, without a server") {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"nonsense"},
      {"topic"},
      {"topic", "create"},
      {"topic", "create", "t", "--partitions", "0"},
      {"topic", "create", "t", "--partitions", "many"},
      {"produce"},
      {"produce", "t", "--acks", "some"},
      {"produce", "t", "--compression", "rar"},
      {"produce", "t", "--key", "k", "--key-separator", ":"},
      {"produce", "t", "--header", "novalue"},
      {"read", "t", "--offset", "minus"},
      {"read", "t", "--since", "yesterday-ish"},
      {"read", "t", "--print", "xml"},
      {"consume", "t"},
      {"consume", "t", "--subscription", "s", "--answer", "maybe"},
      {"consume", "t", "--subscription", "s", "--from", "nowhere"},
      {"subscription", "reset", "t", "s"},
      {"topic", "alter", "t"},
      {"topic", "alter", "t", "--partitions", "0"},
      {"topic", "settings", "t", "--set", "no-value"},
      {"tenant", "create"},
      {"tenant", "create", "a/b"},
      {"product", "list"},
      {"product", "create", "a"},
      {"component", "describe", "a/b/c/d"},
      {"retention", "set", "a"},
      {"retention", "set", "a", "--soft", "soon"},
      {"retention", "set", "a", "--size", "10XB"},
      {"--output", "xml", "topic", "list"},
      {"--server", "no-port", "topic", "list"},
  };
  for (std::vector<std::string> arguments : wrong) {
    arguments.insert(arguments.begin(), cli_binary());
    const CommandResult result = run_command({.argv = arguments});
    INFO("arguments: ", arguments.size(), " last: ", arguments.back(), " said: ", result.err);
    CHECK(result.exit_code == kWrongUsage);
    CHECK(!result.err.empty());
  }
}

TEST_CASE("a file that cannot be read is wrong usage") {
  const Cli cli(shared_server());
  const CommandResult result = cli.run({"produce", "no-file", "--file", "/nonexistent/file"});
  CHECK(result.exit_code == kWrongUsage);
  CHECK(result.err.find("/nonexistent/file") != std::string::npos);
}

TEST_CASE("no server: status 2 within seconds, with a remedy") {
  const std::string nobody = "127.0.0.1:" + std::to_string(free_port());
  const CommandResult result =
      run_command({.argv = {cli_binary(), "--server", nobody, "topic", "list"}});
  CHECK(result.exit_code == kNotReachable);
  check_error_text(result.err, ErrorCode::kUnreachable);
  CHECK(result.err.find(nobody) != std::string::npos);
}

TEST_CASE("a server that accepts and never answers is not reachable") {
  ServerProcess server;
  server.start();
  server.process().send_signal(SIGSTOP);
  const CommandResult result = Cli(server).run({"--timeout", "1000", "topic", "list"});
  server.process().send_signal(SIGCONT);
  CHECK(result.exit_code == kNotReachable);
}

TEST_CASE("the server comes from ANDYX_SERVER, and the flag wins") {
  ServerProcess& server = shared_server();
  const std::string environment = "ANDYX_SERVER=" + server.address();
  CHECK(run_command({.argv = {cli_binary(), "topic", "list"}, .environment = {environment}})
            .exit_code == kDone);
  CHECK(run_command({.argv = {cli_binary(), "--server", server.address(), "topic", "list"},
                     .environment = {"ANDYX_SERVER=127.0.0.1:1"}})
            .exit_code == kDone);
}

TEST_CASE("topics: create, describe, list, delete") {
  const Cli cli(shared_server());
  const Json created = cli.json({"topic", "create", "life", "--partitions", "3"});
  CHECK(created.at("topic") == "andyx://default/default/default/life");
  const Json described = cli.json({"topic", "describe", "life"});
  REQUIRE(described.at("partitions").size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const Json& partition = described.at("partitions")[i];
    CHECK(partition.at("partition") == i);
    CHECK(partition.at("main") == 1);
    CHECK(partition.at("start_offset") == 0);
    CHECK(partition.at("committed_offset") == 0);
  }
  CHECK(is_listed(cli, "life"));
  CHECK(cli.ok({"topic", "list"}).find("life") != std::string::npos);
  CHECK(cli.ok({"topic", "describe", "life"}).find("life") != std::string::npos);
  cli.ok({"topic", "delete", "life"});
  CHECK(!is_listed(cli, "life"));
  cli.refused(ErrorCode::kUnknownTopic, {"topic", "describe", "life"});
  cli.refused(ErrorCode::kUnknownTopic, {"topic", "delete", "life"});
}

TEST_CASE("a deleted topic's name can be used again, and nothing of the old one is left") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "again"});
  cli.ok({"produce", "again"}, "old\n");
  const Json old = cli.json({"topic", "describe", "again"});
  cli.ok({"topic", "delete", "again"});
  cli.ok({"topic", "create", "again"});
  const Json renewed = cli.json({"topic", "describe", "again"});
  CHECK(renewed.at("topic_id") != old.at("topic_id"));
  CHECK(renewed.at("partitions")[0].at("partition_id") !=
        old.at("partitions")[0].at("partition_id"));
  CHECK(cli.ok({"read", "again"}).empty());
}

TEST_CASE("full and bare names mean the same topic") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "andyx://shop/orders/web/placed"});
  cli.ok({"produce", "andyx://shop/orders/web/placed"}, "one\n");
  CHECK(cli.ok({"read", "shop/orders/web/placed"}) == "one\n");
  cli.ok({"topic", "create", "bare"});
  CHECK(cli.json({"topic", "describe", "andyx://default/default/default/bare"}).at("topic") ==
        "andyx://default/default/default/bare");
}

TEST_CASE("bad names are refused with bad_name, wherever a name is given") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "good"});
  const std::vector<std::string> bad = {
      ".dot",          "sp ace",        std::string(129, 'x'), "sl/ash",
      "uml\xC3\xA4ut", "andyx://a/b/c", "andyx://a/b/c/d/e"};
  for (const std::string& name : bad) {
    INFO("name: ", name);
    cli.refused(ErrorCode::kBadName, {"topic", "create", name});
    cli.refused(ErrorCode::kBadName, {"produce", name}, "x\n");
    cli.refused(ErrorCode::kBadName, {"read", name});
    cli.refused(ErrorCode::kBadName, {"subscription", "create", "good", name});
  }
  cli.ok({"topic", "create", std::string(128, 'x')});
}

TEST_CASE("a topic that exists, one that does not, and a partition that does not") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "exists", "--partitions", "2"});
  cli.refused(ErrorCode::kTopicExists, {"topic", "create", "exists"});
  cli.refused(ErrorCode::kUnknownPartition, {"read", "exists", "--partition", "2"});
  cli.ok({"subscription", "create", "exists", "s"});
  cli.refused(ErrorCode::kUnknownPartition,
              {"subscription", "reset", "exists", "s", "--to", "latest", "--partition", "2"});
}

TEST_CASE("only producing creates a topic") {
  const Cli cli(shared_server());
  cli.refused(ErrorCode::kUnknownTopic, {"topic", "describe", "fresh"});
  cli.refused(ErrorCode::kUnknownTopic, {"read", "fresh"});
  cli.refused(ErrorCode::kUnknownTopic,
              {"consume", "fresh", "--subscription", "s", "--idle-exit", "100"});
  cli.refused(ErrorCode::kUnknownTopic, {"subscription", "create", "fresh", "s"});
  cli.refused(ErrorCode::kUnknownTopic, {"subscription", "list", "fresh"});
  CHECK(!is_listed(cli, "fresh"));
  cli.ok({"produce", "fresh"}, "made\n");
  CHECK(is_listed(cli, "fresh"));
  CHECK(cli.json({"topic", "describe", "fresh"}).at("partitions").size() == 1);
}

TEST_CASE("automatic creation follows the settings") {
  ServerProcess closed({.flags = {"--auto-create-topics", "false"}});
  closed.start();
  Cli(closed).refused(ErrorCode::kCreationNotAllowed, {"produce", "fresh"}, "x\n");
  Cli(closed).ok({"topic", "create", "fresh"});
  Cli(closed).ok({"produce", "fresh"}, "x\n");

  ServerProcess wide({.flags = {"--default-partitions", "3"}});
  wide.start();
  Cli(wide).ok({"produce", "fresh"}, "x\n");
  CHECK(Cli(wide).json({"topic", "describe", "fresh"}).at("partitions").size() == 3);
}

TEST_CASE("topics and messages are there after a clean restart and after a kill") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"topic", "create", "kept", "--partitions", "2"});
  cli.ok({"produce", "kept", "--key", "k"}, "one\ntwo\n");
  const Json before = cli.json({"topic", "describe", "kept"});
  SUBCASE("SIGTERM") { REQUIRE(server.terminate().value_or(-1) == 0); }
  SUBCASE("SIGKILL") { server.kill_now(); }
  server.start();
  const Json after = cli.json({"topic", "describe", "kept"});
  CHECK(after.at("topic_id") == before.at("topic_id"));
  CHECK(after.at("created") == before.at("created"));
  CHECK(cli.ok({"read", "kept"}) == "one\ntwo\n");
}

TEST_CASE("node status") {
  ServerProcess& server = shared_server();
  const Json status = Cli(server).json({"node", "status"});
  CHECK(status.at("node_id") == 1);
  CHECK(status.at("listen") == server.address());
  CHECK(status.at("advertise") == server.address());
  CHECK(status.at("rss_bytes") > 0);
  CHECK(status.at("cpu_us") > 0);
  CHECK(status.at("connections") >= 1);
  CHECK(!status.at("cluster_id").get<std::string>().empty());
  REQUIRE(status.at("storage").size() >= 1);
  CHECK(status.at("storage")[0].at("state") == "serving");
  CHECK(status.at("storage")[0].at("fsync") == true);
  CHECK(status.at("storage")[0].contains("crc32c"));
  CHECK(status.at("loops").size() >= 1);
  CHECK(Cli(server).ok({"node", "status"}).find("serving") != std::string::npos);
}

}  // namespace
}  // namespace andyx::test
