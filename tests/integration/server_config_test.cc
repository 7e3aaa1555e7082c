// andyx-server: settings from file, environment and flags, and starts that must be refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

using Strings = std::vector<std::string>;

CommandResult serve(Strings arguments, Strings environment = {}) {
  arguments.insert(arguments.begin(), server_binary());
  return run_command({.argv = arguments, .environment = environment});
}

// What --print-config says of one setting: the text behind `name=`, without blanks and quotes.
std::string printed(const CommandResult& result, const std::string& name) {
  REQUIRE(result.exit_code == 0);
  for (std::string line : split_lines(result.out)) {
    std::erase_if(line, [](char c) { return c == ' ' || c == '"'; });
    if (line.starts_with(name + "=")) return line.substr(name.size() + 1);
  }
  return "(not printed)";
}

TEST_CASE("help and version") {
  CHECK(serve({"--version"}).out.find("andyx-server") != std::string::npos);
  const CommandResult help = serve({"--help"});
  CHECK(help.exit_code == 0);
  for (const std::string flag : {"--config", "--data-dir", "--listen", "--advertise", "--node-id",
                                 "--cores", "--print-config", "--accept-data-loss"}) {
    CHECK_MESSAGE(help.out.find(flag) != std::string::npos, flag);
  }
}

TEST_CASE("defaults: loopback port 6540 and ./andyx-data") {
  const CommandResult defaults = serve({"--print-config"});
  CHECK(printed(defaults, "listen") == "127.0.0.1:6540");
  CHECK(printed(defaults, "data-dir") == "./andyx-data");
}

TEST_CASE("the file is overridden by the environment, and that by flags") {
  const TempDir directory;
  const std::string file = directory.file("andyx.toml");
  write_file(file, "node-id = 5\ncores = 3\nmax-connections = 77\n");
  const Strings environment = {"ANDYX_NODE_ID=6", "ANDYX_CORES=4"};
  const CommandResult result =
      serve({"--config", file, "--node-id", "7", "--print-config"}, environment);
  CHECK(printed(result, "node-id") == "7");
  CHECK(printed(result, "cores") == "4");
  CHECK(printed(result, "max-connections") == "77");
}

TEST_CASE("roles, nodes to join and the peers' address can be given in each way") {
  const TempDir directory;
  const std::string file = directory.file("andyx.toml");
  write_file(file, "roles = \"broker,metadata\"\njoin = \"127.0.0.1:1,127.0.0.1:2\"\n");
  const CommandResult of_file = serve({"--config", file, "--print-config"});
  CHECK(printed(of_file, "roles") == "broker,metadata");
  CHECK(printed(of_file, "join") == "127.0.0.1:1,127.0.0.1:2");
  const CommandResult flags =
      serve({"--config", file, "--join", "localhost:3", "--print-config"},
            {"ANDYX_PEER_LISTEN=127.0.0.1:7777", "ANDYX_ROLES=metadata,balancer"});
  CHECK(printed(flags, "join") == "localhost:3");
  CHECK(printed(flags, "roles") == "metadata,balancer");
  CHECK(printed(flags, "peer-listen") == "127.0.0.1:7777");
}

TEST_CASE("what --print-config prints is a file that --config takes") {
  const TempDir directory;
  const std::string file = directory.file("printed.toml");
  const CommandResult first =
      serve({"--node-id", "9", "--listen", "127.0.0.1:7777", "--print-config"});
  write_file(file, first.out);
  const CommandResult second = serve({"--config", file, "--print-config"});
  CHECK(second.out == first.out);
  CHECK(printed(second, "node-id") == "9");
}

TEST_CASE("wrong settings are refused at start, and the message names them") {
  const TempDir directory;
  const std::string unknown = directory.file("unknown.toml"), torn = directory.file("torn.toml");
  write_file(unknown, "no-such-setting = 1\n");
  write_file(torn, "node-id = [[[\n");
  struct Wrong {
    Strings arguments, environment;
    std::string named;
  };
  const std::vector<Wrong> wrong = {
      {{"--listen", "nowhere"}, {}, "listen"},
      {{"--listen", "127.0.0.1:99999"}, {}, "listen"},
      {{"--node-id", "0"}, {}, "node-id"},
      {{"--peer-listen", "nowhere"}, {}, "peer-listen"},
      {{"--listen", "127.0.0.1:65000"}, {}, "peer-listen"},
      {{"--roles", "broker,cook"}, {}, "cook"},
      {{"--roles", "broker"}, {}, "roles"},
      {{"--join", "127.0.0.1:6540,nowhere"}, {}, "join"},
      {{"--cores", "many"}, {}, "cores"},
      {{"--cores", "-1"}, {}, "cores"},
      {{"--busy-poll-us", "10001"}, {}, "busy-poll-us"},
      {{"--max-connections", "0"}, {}, "max-connections"},
      {{"--log-level", "shout"}, {}, "log-level"},
      {{"--no-such-flag"}, {}, "no-such-flag"},
      {{"stray"}, {}, "stray"},
      {{"--config", "/nonexistent.toml"}, {}, "/nonexistent.toml"},
      {{"--config", unknown}, {}, "no-such-setting"},
      {{"--config", torn}, {}, "node-id"},
      {{}, {"ANDYX_NODE_ID=none"}, "node-id"},
  };
  for (const Wrong& entry : wrong) {
    Strings arguments = entry.arguments;
    arguments.insert(arguments.end(), {"--data-dir", directory.file("data")});
    const CommandResult result = serve(arguments, entry.environment);
    INFO("named: ", entry.named, " said: ", result.err);
    CHECK(result.exit_code == 1);
    CHECK(result.out.empty());
    CHECK(result.err.find(entry.named) != std::string::npos);
  }
}

TEST_CASE("port 0 is any free port, and the ready line says which") {
  const TempDir directory;
  Process server(
      {.argv = {server_binary(), "--data-dir", directory.file("data"), "--listen", "127.0.0.1:0"}});
  const std::string ready = "andyx-server ready on 127.0.0.1:";
  REQUIRE(wait_until([&] { return server.out().ends_with("\n"); }));
  const std::string line = split_lines(server.out()).at(0);
  REQUIRE(line.starts_with(ready));
  const std::string port = line.substr(ready.size());
  CHECK(port != "0");
  CHECK(run_command({.argv = {cli_binary(), "--server", "127.0.0.1:" + port, "topic", "list"}})
            .exit_code == kDone);
}

TEST_CASE("--advertise is what clients are told") {
  ServerProcess server({.flags = {"--advertise", "broker.example:7000", "--node-id", "3"}});
  server.start();
  const Json status = Cli(server).json({"node", "status"});
  CHECK(status.at("advertise") == "broker.example:7000");
  CHECK(status.at("node_id") == 3);
}

TEST_CASE("a second server on the port is refused, and the first goes on") {
  ServerProcess first;
  first.start();
  const TempDir directory;
  const CommandResult second =
      serve({"--listen", first.address(), "--data-dir", directory.file("other")});
  CHECK(second.exit_code > 0);
  check_error_text(second.err, ErrorCode::kAddressInUse);
  CHECK(second.err.find(first.address()) != std::string::npos);
  CHECK(second.out.empty());
  Cli(first).ok({"topic", "list"});
}

TEST_CASE("of two servers that start on one port at the same instant exactly one serves") {
  const std::string address = "127.0.0.1:" + std::to_string(free_port());
  for (int round = 0; round < 20; ++round) {
    INFO("round ", round);
    const TempDir directory;
    Launch launch{.argv = {server_binary(), "--cores", "2", "--listen", address, "--data-dir", ""}};
    std::vector<std::unique_ptr<Process>> servers;
    for (const std::string name : {"one", "other"}) {
      launch.argv.back() = directory.file(name);
      servers.push_back(std::make_unique<Process>(launch));
    }
    const auto ready = [](const auto& server) { return !server->out().empty(); };
    const auto ended = [](const auto& server) { return !server->running(); };
    REQUIRE(wait_until([&] {
      return std::ranges::all_of(servers, [&](auto& s) { return ready(s) || ended(s); });
    }));
    REQUIRE(std::ranges::count_if(servers, ready) == 1);
    REQUIRE(std::ranges::count_if(servers, ended) == 1);
    Process& refused = **std::ranges::find_if(servers, ended);
    CHECK(refused.wait().value_or(0) > 0);
    check_error_text(refused.err(), ErrorCode::kAddressInUse);
    CHECK(refused.err().find(address) != std::string::npos);
    CHECK(run_command({.argv = {cli_binary(), "--server", address, "topic", "list"}}).exit_code ==
          kDone);
  }
}

TEST_CASE("a second server on the data directory is refused, and the first goes on") {
  ServerProcess first;
  first.start();
  Cli(first).ok({"produce", "t"}, "kept\n");
  const CommandResult second = serve({"--listen", "127.0.0.1:0", "--data-dir", first.data_dir()});
  CHECK(second.exit_code > 0);
  check_error_text(second.err, ErrorCode::kDataDirLocked);
  CHECK(second.err.find(first.data_dir()) != std::string::npos);
  CHECK(second.out.empty());
  CHECK(Cli(first).ok({"read", "t"}) == "kept\n");
}

TEST_CASE("a data directory that cannot be made is refused") {
  const TempDir directory;
  write_file(directory.file("file"), "");
  const CommandResult result =
      serve({"--listen", "127.0.0.1:0", "--data-dir", directory.file("file") + "/data"});
  CHECK(result.exit_code > 0);
  CHECK(result.out.empty());
  CHECK(result.err.find(directory.file("file")) != std::string::npos);
}

TEST_CASE("an address that is not loopback warns loudly") {
  ServerProcess quiet;
  quiet.start();
  const TempDir directory;
  Process open(
      {.argv = {server_binary(), "--data-dir", directory.file("data"), "--listen", "0.0.0.0:0"}});
  REQUIRE(wait_until([&] { return open.out().find("ready on") != std::string::npos; }));
  CHECK(open.err().find("authentication") != std::string::npos);
  CHECK(quiet.log().find("authentication") == std::string::npos);
}

}  // namespace
}  // namespace andyx::test
