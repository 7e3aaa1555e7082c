// andyx-cli produce and read: what is a line, what is a key, where reading begins and ends.
#include <doctest/doctest.h>
#include <signal.h>

#include <set>
#include <string>
#include <vector>

#include "protocol/base/limits.h"
#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

std::vector<std::string> payloads(const std::vector<Json>& messages) {
  std::vector<std::string> result;
  for (const Json& message : messages) result.push_back(message.at("payload"));
  return result;
}

using Strings = std::vector<std::string>;

std::string numbered_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST_CASE("a line is the bytes up to LF, empty ones included, the last one without LF too") {
  const Cli cli(shared_server());
  cli.ok({"produce", "lines"}, "a\n\nb\r\nlast");
  CHECK(payloads(cli.json_lines({"read", "lines"})) == Strings{"a", "", "b\r", "last"});
  CHECK(cli.ok({"read", "lines"}) == "a\n\nb\r\nlast\n");
}

TEST_CASE("no input is no message; one LF is one empty message") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "none"});
  cli.ok({"produce", "none"}, "");
  CHECK(cli.json_lines({"read", "none"}).empty());
  cli.ok({"produce", "none"}, "\n");
  CHECK(payloads(cli.json_lines({"read", "none"})) == Strings{""});
}

TEST_CASE("a file, - and nothing mean where the lines come from") {
  const Cli cli(shared_server());
  const TempDir directory;
  write_file(directory.file("input"), "from file\n");
  cli.ok({"produce", "sources", "--file", directory.file("input")}, "not this\n");
  cli.ok({"produce", "sources", "--file", "-"}, "from dash\n");
  cli.ok({"produce", "sources"}, "from stdin\n");
  CHECK(cli.ok({"read", "sources"}) == "from file\nfrom dash\nfrom stdin\n");
}

TEST_CASE("keys: one for all, or before the separator; a line without it is unkeyed") {
  const Cli cli(shared_server());
  cli.ok({"produce", "keys", "--key-separator", ":"}, "k1:v1\nplain\n:empty key\nk2:a:b\nk3:\n");
  cli.ok({"produce", "keys", "--key", "all"}, "x:y\n");
  const std::vector<Json> messages = cli.json_lines({"read", "keys"});
  CHECK(payloads(messages) == Strings{"v1", "plain", "empty key", "a:b", "", "x:y"});
  CHECK(messages.at(0).at("key") == "k1");
  CHECK(!messages.at(1).contains("key"));
  CHECK(messages.at(2).at("key") == "");
  CHECK(messages.at(3).at("key") == "k2");
  CHECK(messages.at(4).at("key") == "k3");
  CHECK(messages.at(5).at("key") == "all");
  CHECK(cli.ok({"read", "keys", "--count", "2", "--print", "key-value"}) == "k1\tv1\nplain\n");
}

TEST_CASE("equal keys stay in one partition, in order; keyless lines use all partitions") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "spread", "--partitions", "4"});
  cli.ok({"produce", "spread", "--key", "same"}, numbered_lines(100));
  std::set<int> partitions;
  int next = 0;
  for (const Json& message : cli.json_lines({"read", "spread"})) {
    partitions.insert(message.at("partition").get<int>());
    CHECK(message.at("payload") == "line " + std::to_string(next++));
  }
  CHECK(next == 100);
  CHECK(partitions.size() == 1);

  cli.ok({"topic", "create", "round", "--partitions", "4"});
  for (int i = 0; i < 8; ++i) cli.ok({"produce", "round"}, "a\nb\nc\nd\ne\nf\ng\nh\n");
  std::set<int> used;
  const std::vector<Json> all = cli.json_lines({"read", "round"});
  for (const Json& message : all) used.insert(message.at("partition").get<int>());
  CHECK(all.size() == 64);
  CHECK(used.size() == 4);
}

TEST_CASE("bytes that are not UTF-8 go through, and JSON has them as payload_base64") {
  const Cli cli(shared_server());
  const std::string binary("\x00\xFF\xFE\x80raw", 7);
  cli.ok({"produce", "binary"}, binary + "\nplain\n");
  CHECK(cli.ok({"read", "binary"}) == binary + "\nplain\n");
  const std::vector<Json> messages = cli.json_lines({"read", "binary"});
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].at("payload_base64") == "AP/+gHJhdw==");
  CHECK(!messages[0].contains("payload"));
  CHECK(messages[1].at("payload") == "plain");
}

TEST_CASE("headers, compressions and acks: the same messages come back") {
  const Cli cli(shared_server());
  for (const char* compression : {"none", "lz4", "zstd"}) {
    for (const char* acks : {"none", "main", "quorum"}) {
      const std::string topic = std::string("way-") + compression + "-" + acks;
      cli.ok({"topic", "create", topic});
      cli.ok({"produce", topic, "--compression", compression, "--acks", acks, "--header", "a=1",
              "--header", "b=x=y"},
             numbered_lines(500));
      INFO("topic: ", topic);
      std::vector<Json> messages;
      // With acks none the end of produce promises nothing yet.
      CHECK(wait_until([&] {
        messages = cli.json_lines({"read", topic});
        return messages.size() == 500;
      }));
      REQUIRE(messages.size() == 500);
      CHECK(messages[499].at("payload") == "line 499");
      CHECK(messages[499].at("headers") == Json{{"a", "1"}, {"b", "x=y"}});
    }
  }
}

TEST_CASE("produce says how many were acknowledged") {
  const Cli cli(shared_server());
  CHECK(cli.json({"produce", "counted"}, numbered_lines(10'000)).at("messages_acked") == 10'000);
  const Json topic = cli.json({"topic", "describe", "counted"});
  CHECK(topic.at("partitions")[0].at("committed_offset") == 10'000);
}

TEST_CASE("a message over 8 MiB is refused, one of 8 MiB is not") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "large"});
  const std::string largest(limits::kMaxMessageBytes, 'm');
  cli.refused(ErrorCode::kMessageTooLarge, {"produce", "large"}, "before\n" + largest + "x\n");
  cli.ok({"produce", "large"}, largest + "\n");
  CHECK(cli.ok({"read", "large", "--offset", "1"}) == largest + "\n");
}

TEST_CASE("a smaller limit of the server is told by the server") {
  ServerProcess server({.flags = {"--max-message-bytes", "1000"}});
  server.start();
  const Cli cli(server);
  cli.ok({"produce", "small"}, std::string(900, 'x') + "\n");
  cli.refused(ErrorCode::kMessageTooLarge, {"produce", "small"}, std::string(1'100, 'x') + "\n");
}

TEST_CASE("read begins at an offset, in a partition, and ends after a count") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "ranges", "--partitions", "2"});
  cli.ok({"produce", "ranges", "--key", "k"}, numbered_lines(5));
  const int partition = cli.json_lines({"read", "ranges"}).at(0).at("partition");
  const std::string p = std::to_string(partition), other = std::to_string(1 - partition);
  CHECK(cli.ok({"read", "ranges", "--partition", p, "--offset", "3"}) == "line 3\nline 4\n");
  CHECK(cli.ok({"read", "ranges", "--partition", p, "--offset", "1", "--count", "2"}) ==
        "line 1\nline 2\n");
  CHECK(cli.ok({"read", "ranges", "--partition", p, "--count", "99"}) == numbered_lines(5));
  CHECK(cli.ok({"read", "ranges", "--partition", p, "--offset", "5"}).empty());
  CHECK(cli.ok({"read", "ranges", "--partition", other}).empty());
  CHECK(cli.ok({"read", "ranges", "--count", "0"}).empty());
  cli.refused(ErrorCode::kOffsetOutOfRange, {"read", "ranges", "--partition", p, "--offset", "6"});
  cli.refused(ErrorCode::kUnknownPartition, {"read", "ranges", "--partition", "2"});
}

TEST_CASE("read begins at a time") {
  const Cli cli(shared_server());
  cli.ok({"produce", "times"}, "first\n");
  cli.ok({"produce", "times"}, "second\n");
  const std::vector<Json> messages = cli.json_lines({"read", "times"});
  REQUIRE(messages.size() == 2);
  const std::string second = messages[1].at("append_time");
  CHECK(cli.ok({"read", "times", "--since", second}) == "second\n");
  CHECK(cli.ok({"read", "times", "--since", "-1h"}) == "first\nsecond\n");
  CHECK(cli.ok({"read", "times", "--since", "2001-01-01T00:00:00Z"}) == "first\nsecond\n");
  CHECK(cli.ok({"read", "times", "--since", "2999-01-01T00:00:00Z"}).empty());
}

TEST_CASE("read --follow goes on with what is produced later") {
  const Cli cli(shared_server());
  cli.ok({"produce", "follow"}, "one\n");
  const auto reader = cli.start({"read", "follow", "--follow"});
  REQUIRE(wait_until([&] { return reader->out() == "one\n"; }));
  cli.ok({"produce", "follow"}, "two\n");
  CHECK(wait_until([&] { return reader->out() == "one\ntwo\n"; }));
  reader->send_signal(SIGTERM);
  CHECK(reader->wait().has_value());

  const auto counted = cli.start({"read", "follow", "--follow", "--count", "3"});
  REQUIRE(wait_until([&] { return counted->out() == "one\ntwo\n"; }));
  cli.ok({"produce", "follow"}, "three\nfour\n");
  CHECK(counted->wait().value_or(-1) == kDone);
  CHECK(counted->out() == "one\ntwo\nthree\n");
}

TEST_CASE("a reader that goes away ends the command quietly") {
  ServerProcess& server = shared_server();
  Cli(server).ok({"produce", "piped"}, numbered_lines(50'000));
  const std::string script = "'" + cli_binary() + "' --server " + server.address() +
                             " read piped | head -n 1; echo \"status ${PIPESTATUS[0]}\"";
  const CommandResult result = run_command({.argv = {"bash", "-c", script}});
  CHECK(result.out == "line 0\nstatus 0\n");
  CHECK(result.err.empty());
}

TEST_CASE("nothing but messages is on stdout, and nothing on stderr, when stdout is no terminal") {
  const Cli cli(shared_server());
  const CommandResult produced = cli.run({"produce", "quiet"}, numbered_lines(20'000));
  CHECK(produced.exit_code == kDone);
  CHECK(produced.err.empty());
  const CommandResult read = cli.run({"read", "quiet"});
  CHECK(read.out == numbered_lines(20'000));
  CHECK(read.err.empty());
}

}  // namespace
}  // namespace andyx::test
