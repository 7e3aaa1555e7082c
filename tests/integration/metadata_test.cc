// andyx-cli metadata: backups, and what is left of a cluster that lost the majority of its voters.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "andyx/client.h"
#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

struct Node {
  ServerProcess server;
  Node(int id, const std::vector<const Node*>& others = {})
      : server({.flags = flags(id, others), .environment = {}, .data_dir = {}}) {}

  static std::vector<std::string> flags(int id, const std::vector<const Node*>& others) {
    std::vector<std::string> words{"--node-id", std::to_string(id)};
    std::string join;
    for (const Node* node : others) join += (join.empty() ? "" : ",") + node->server.address();
    if (!join.empty()) words.insert(words.end(), {"--join", join});
    return words;
  }
};

bool is_in_sync_on(const Cli& cli, const std::string& topic, std::size_t copies) {
  const Json partitions = cli.json({"topic", "describe", topic}).at("partitions");
  return std::ranges::all_of(partitions,
                             [&](const Json& p) { return p.at("in_sync").size() == copies; });
}

std::vector<std::string> sorted_lines(const std::string& text) {
  auto lines = split_lines(text);
  std::ranges::sort(lines);
  return lines;
}

std::vector<std::string> recover(const std::string& dir, bool accept) {
  std::vector<std::string> words{"metadata", "force-recover", "--data-dir", dir, "--node-id", "1"};
  if (accept) words.emplace_back("--accept-data-loss");
  return words;
}

std::vector<std::string> restore(const std::string& file, const std::string& dir,
                                 bool force = false) {
  std::vector<std::string> words{"metadata", "restore", file, "--data-dir", dir};
  if (force) words.emplace_back("--force");
  return words;
}

TEST_CASE("the survivor of a lost majority goes on alone, and the others join it anew") {
  Node first(1);
  first.server.start();
  const Cli cli(first.server);
  cli.ok({"topic", "create", "here", "--replication-factor", "1"});
  cli.ok({"cluster", "balance", "--pause"});
  // One that runs needs no decision.
  auto client = client::Client::connect({.servers = {first.server.address()}});
  REQUIRE(client.has_value());
  auto producer = client->producer({.topic = "here"});
  REQUIRE(producer.has_value());
  REQUIRE(producer->send({.payload = "first"}).has_value());
  REQUIRE(producer->flush().has_value());
  Node second(2, {&first}), third(3, {&first});
  second.server.start();
  third.server.start();
  cli.ok({"topic", "create", "t", "--partitions", "3", "--replication-factor", "3"});
  cli.ok({"subscription", "create", "t", "s", "--from", "earliest"});
  cli.ok({"produce", "t"}, "one\ntwo\nthree\nfour\n");
  wait_until([&] {
    return is_in_sync_on(cli, "t", 3) &&
           cli.json({"cluster", "status"}).at("voters") == Json{1, 2, 3};
  });
  cli.refused(ErrorCode::kDataDirLocked, recover(first.server.data_dir(), true));

  second.server.kill_now();
  third.server.kill_now();
  // The majority is lost: nothing is decided any more, and what needs no decision goes on.
  const CommandResult undecided = cli.run({"--timeout", "25000", "topic", "create", "never"});
  CHECK(undecided.exit_code != kDone);
  CHECK(undecided.err.find("no_controller") != std::string::npos);
  CHECK(cli.json({"cluster", "status"}).at("status") == "offline");
  REQUIRE(producer->send({.payload = "still"}).has_value());
  REQUIRE(producer->flush().has_value());
  CHECK(cli.ok({"read", "here"}) == "first\nstill\n");
  first.server.kill_now();

  cli.refused(ErrorCode::kDataLoss, recover(first.server.data_dir(), false));
  const std::string said = cli.ok(recover(first.server.data_dir(), true));
  CHECK(said.find("node 1 is the only voter now") != std::string::npos);
  first.server.start();
  CHECK(cli.json({"cluster", "status"}).at("voters") == Json{1});
  CHECK(cli.ok({"read", "here"}) == "first\nstill\n");
  wait_until([&] {
    const CommandResult read = cli.run({"read", "t"});
    return read.exit_code == kDone && sorted_lines(read.out).size() == 4;
  });
  CHECK(sorted_lines(cli.ok({"read", "t"})) ==
        std::vector<std::string>{"four", "one", "three", "two"});
  CHECK(cli.json({"subscription", "list", "t"}).at("subscriptions").size() == 1);
  cli.ok({"topic", "create", "again", "--replication-factor", "1"});

  // With its disk: of a group that is over. Without: not itself any more.
  second.server.start();
  CHECK(second.server.log().find("it joins again") != std::string::npos);
  wait_until([&] {
    const Json status = Cli(second.server).json({"cluster", "status"});
    return status.at("controller") == 1 && status.at("nodes")[1].at("status") == "online";
  });
  CHECK(sorted_lines(Cli(second.server).ok({"read", "t"})).size() == 4);
  std::filesystem::remove_all(third.server.data_dir());
  third.server.launch();
  CHECK(third.server.process().wait(kGenerous).value_or(0) == 1);
  CHECK(third.server.log().find("node_conflict") != std::string::npos);
}

struct Source {
  TempDir directory;
  std::string file = directory.file("backup");
  ServerProcess server;
  Cli cli{server};

  Source() {
    server.start();
    cli.ok({"tenant", "create", "shop"});
    cli.ok({"tenant", "settings", "shop", "--set", "topic-auto-create=false"});
    cli.ok({"topic", "create", "t", "--partitions", "3"});
    cli.ok({"subscription", "create", "t", "s", "--type", "shared", "--from", "earliest"});
    cli.ok({"produce", "t"}, "one\ntwo\n");
    cli.ok({"metadata", "backup", file});
  }
};

TEST_CASE_FIXTURE(Source,
                  "a backup restored in a new directory is a cluster with the same metadata") {
  const Json told = cli.json({"metadata", "backup", file});
  CHECK(told.at("cluster_id") == cli.json({"cluster", "status"}).at("cluster_id"));
  CHECK(told.at("bytes") == std::filesystem::file_size(file));
  ServerProcess other;
  const std::string said = cli.ok(restore(file, other.data_dir()));
  CHECK(said.find("its partitions are empty") != std::string::npos);
  other.start();
  const Cli there(other);
  CHECK(there.json({"topic", "list"}) == cli.json({"topic", "list"}));
  CHECK(there.json({"subscription", "list", "t"}) == cli.json({"subscription", "list", "t"}));
  CHECK(there.json({"tenant", "list"}) == cli.json({"tenant", "list"}));
  CHECK(there.json({"tenant", "settings", "shop"}) == cli.json({"tenant", "settings", "shop"}));
  CHECK(there.json({"cluster", "status"}).at("cluster_id") != told.at("cluster_id"));
  CHECK(there.ok({"read", "t"}).empty());
  there.ok({"produce", "t"}, "new\n");
  CHECK(there.ok({"read", "t"}) == "new\n");
  there.ok({"topic", "create", "another"});
}

TEST_CASE_FIXTURE(Source,
                  "a restore in place keeps the messages, and never takes metadata back unasked") {
  cli.refused(ErrorCode::kDataDirLocked, restore(file, server.data_dir()));
  cli.ok({"topic", "create", "later"});
  REQUIRE(server.terminate().value_or(-1) == 0);
  cli.refused(ErrorCode::kNotEmpty, restore(file, server.data_dir()));
  cli.ok(restore(file, server.data_dir(), true));
  server.start();
  CHECK(sorted_lines(cli.ok({"read", "t"})) == std::vector<std::string>{"one", "two"});
  CHECK(cli.json({"topic", "list"}).at("topics").size() == 1);
  cli.ok({"topic", "create", "later"});
  CHECK(cli.ok({"read", "later"}).empty());
}

TEST_CASE_FIXTURE(Source,
                  "a damaged backup and one of another cluster are refused, nothing is changed") {
  ServerProcess other;
  other.start();
  Cli(other).ok({"topic", "create", "of-other"});
  REQUIRE(other.terminate().value_or(-1) == 0);
  cli.refused(ErrorCode::kWrongCluster, restore(file, other.data_dir(), true));
  std::string bytes = read_file(file);
  const auto write = [&](const std::string& content) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
  };
  const std::string fresh = directory.file("fresh");
  write(bytes.substr(0, bytes.size() - 1));
  cli.refused(ErrorCode::kCorrupt, restore(file, fresh));
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
  write(flipped);
  cli.refused(ErrorCode::kCorrupt, restore(file, fresh));
  std::string newer = bytes;
  newer[8] = 9;
  write(newer);
  cli.refused(ErrorCode::kUnsupportedVersion, restore(file, fresh));
  CHECK_FALSE(std::filesystem::exists(fresh));
  cli.refused(ErrorCode::kIo, restore(directory.file("none"), fresh));
  other.start();
  CHECK(Cli(other).json({"topic", "list"}).at("topics").size() == 1);
}

}  // namespace
}  // namespace andyx::test
