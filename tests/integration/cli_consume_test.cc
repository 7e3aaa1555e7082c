// andyx-cli consume and subscription: positions, answers, exit statuses, restarts.
#include <doctest/doctest.h>
#include <signal.h>

#include <map>
#include <string>
#include <vector>

#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

using Strings = std::vector<std::string>;

Strings consume(const std::string& topic, Strings more) {
  Strings arguments = {"consume", topic, "--subscription", "s"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Until nothing comes any more.
Strings drain(const std::string& topic, Strings more = {}) {
  Strings arguments = consume(topic, {"--idle-exit", "500"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Json partition_of(const Cli& cli, const std::string& topic, std::size_t partition = 0) {
  return cli.json({"subscription", "describe", topic, "s"}).at("partitions").at(partition);
}

TEST_CASE("a new subscription starts at latest unless told") {
  const Cli cli(shared_server());
  cli.ok({"produce", "latest"}, "before\n");
  CHECK(cli.ok(drain("latest")).empty());
  cli.ok({"produce", "latest"}, "after\n");
  CHECK(cli.ok(drain("latest")) == "after\n");
}

TEST_CASE("--from: earliest, an offset, a time") {
  const Cli cli(shared_server());
  cli.ok({"produce", "from"}, "zero\none\ntwo\n");
  const auto from = [&](const std::string& name, const std::string& start) {
    return cli.ok(
        {"consume", "from", "--subscription", name, "--from", start, "--idle-exit", "500"});
  };
  CHECK(from("a", "earliest") == "zero\none\ntwo\n");
  CHECK(from("b", "offset:1") == "one\ntwo\n");
  CHECK(from("c", "-1h") == "zero\none\ntwo\n");
  CHECK(from("d", "2001-01-01T00:00:00Z") == "zero\none\ntwo\n");
  CHECK(from("e", "2999-01-01T00:00:00Z").empty());
  CHECK(from("f", "latest").empty());
  // --from is for a new subscription only.
  CHECK(from("a", "earliest").empty());
}

TEST_CASE("--count ends with status 0, its answers are confirmed, the rest comes next time") {
  const Cli cli(shared_server());
  for (const char* mode : {"resilient", "nonresilient"}) {
    const std::string topic = std::string("count-") + mode;
    cli.ok({"produce", topic}, "0\n1\n2\n3\n4\n");
    CHECK(cli.ok(consume(topic, {"--from", "earliest", "--mode", mode, "--count", "2"})) ==
          "0\n1\n");
    CHECK(partition_of(cli, topic).at("floor") == 2);
    CHECK(partition_of(cli, topic).at("lag_messages") == 3);
    CHECK(cli.ok(consume(topic, {"--mode", mode, "--count", "3"})) == "2\n3\n4\n");
  }
}

TEST_CASE("idle before --count, or before anything within --timeout, is status 4") {
  const Cli cli(shared_server());
  cli.ok({"produce", "idle"}, "only\n");
  const CommandResult idle =
      cli.run(consume("idle", {"--from", "earliest", "--count", "2", "--idle-exit", "300"}));
  CHECK(idle.exit_code == kTimedOut);
  CHECK(idle.out == "only\n");
  const CommandResult timed_out =
      cli.run({"--timeout", "1500", "consume", "idle", "--subscription", "s", "--count", "1"});
  CHECK(timed_out.exit_code == kTimedOut);
  CHECK(cli.run(consume("idle", {"--idle-exit", "300"})).exit_code == kDone);
}

TEST_CASE("skip moves on like ack, and is counted") {
  const Cli cli(shared_server());
  cli.ok({"produce", "skip"}, "a\nb\n");
  CHECK(cli.ok(drain("skip", {"--from", "earliest", "--answer", "skip"})) == "a\nb\n");
  CHECK(partition_of(cli, "skip").at("floor") == 2);
  CHECK(partition_of(cli, "skip").at("skipped") == 2);
  CHECK(cli.ok(drain("skip")).empty());
}

TEST_CASE("resilient: an unacknowledged message comes again before any other") {
  const Cli cli(shared_server());
  cli.ok({"produce", "stubborn"}, "a\nb\n");
  CHECK(cli.ok(consume("stubborn", {"--from", "earliest", "--answer", "unack", "--count", "3"})) ==
        "a\na\na\n");
  CHECK(partition_of(cli, "stubborn").at("floor") == 0);
  CHECK(cli.ok(drain("stubborn")) == "a\nb\n");
}

TEST_CASE("nonresilient: unacknowledged messages come again when the rest has been sent") {
  const Cli cli(shared_server());
  cli.ok({"produce", "loose"}, "a\nb\nc\n");
  const Strings first =
      split_lines(cli.ok(consume("loose", {"--from", "earliest", "--mode", "nonresilient",
                                           "--answer", "unack", "--count", "9"})));
  std::map<std::string, int> times;
  for (const std::string& line : first) ++times[line];
  CHECK(times["a"] >= 2);
  CHECK(times["b"] >= 2);
  CHECK(times["c"] >= 2);
  const Strings rest = split_lines(cli.ok(drain("loose")));
  std::map<std::string, int> left;
  for (const std::string& line : rest) ++left[line];
  CHECK(left == std::map<std::string, int>{{"a", 1}, {"b", 1}, {"c", 1}});
  CHECK(partition_of(cli, "loose").at("lag_messages") == 0);
}

TEST_CASE("redelivered messages say so in JSON") {
  const Cli cli(shared_server());
  cli.ok({"produce", "redelivered"}, "a\n");
  const std::vector<Json> messages = cli.json_lines(
      consume("redelivered", {"--from", "earliest", "--answer", "unack", "--count", "2"}));
  REQUIRE(messages.size() == 2);
  CHECK(!messages[0].contains("redelivered"));
  CHECK(messages[1].at("redelivered") == 1);
}

TEST_CASE("every message of several partitions comes once, in order for each partition") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "wide", "--partitions", "4"});
  std::string lines;
  for (int i = 0; i < 1'000; ++i) {
    lines += "k" + std::to_string(i % 37) + ":" + std::to_string(i) + "\n";
  }
  cli.ok({"produce", "wide", "--key-separator", ":"}, lines);
  for (const std::string mode : {"resilient", "nonresilient"}) {
    INFO("mode: ", mode);
    const std::vector<Json> messages =
        cli.json_lines({"consume", "wide", "--subscription", mode, "--mode", mode, "--from",
                        "earliest", "--count", "1000"});
    std::map<int, int> next_offset;
    std::map<std::string, int> last_of_key;
    for (const Json& message : messages) {
      CHECK(message.at("offset") == next_offset[message.at("partition").get<int>()]++);
      const int number = std::stoi(message.at("payload").get<std::string>());
      const auto [last, first] = last_of_key.try_emplace(message.at("key"), number);
      CHECK((first || last->second < number));
      last->second = number;
    }
    CHECK(messages.size() == 1'000);
    CHECK(last_of_key.size() == 37);
  }
}

TEST_CASE("a second consumer of a unique subscription is refused; the first goes on") {
  const Cli cli(shared_server());
  cli.ok({"produce", "busy"}, "one\n");
  const auto first = cli.start(consume("busy", {"--from", "earliest", "--count", "2"}));
  REQUIRE(wait_until([&] { return first->out() == "one\n"; }));
  cli.refused(ErrorCode::kSubscriptionBusy, drain("busy"));
  cli.ok({"produce", "busy"}, "two\n");
  CHECK(first->wait().value_or(-1) == kDone);
  CHECK(first->out() == "one\ntwo\n");
  CHECK(cli.ok(drain("busy")).empty());  // and free again
}

TEST_CASE("a consumer that is killed leaves its subscription free, and what it had not answered") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "died"});
  const auto consumer = cli.start(consume("died", {"--from", "earliest", "--count", "9"}));
  REQUIRE(wait_until([&] {
    const CommandResult described =
        cli.run({"--output", "json", "subscription", "describe", "died", "s"});
    return described.exit_code == kDone &&
           Json::parse(described.out).at("partitions")[0].at("consumer") != "";
  }));
  consumer->kill_now();
  cli.ok({"produce", "died"}, "one\n");
  CHECK(wait_until([&] { return cli.run(drain("died")).out == "one\n"; }));
}

TEST_CASE("another mode or type than it was created with is refused") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "fixed"});
  cli.ok({"subscription", "create", "fixed", "s", "--mode", "resilient"});
  cli.refused(ErrorCode::kSubscriptionConflict, drain("fixed", {"--mode", "nonresilient"}));
  CHECK(cli.run(drain("fixed", {"--type", "shared"})).exit_code == kRefused);
}

TEST_CASE("subscriptions: create, list, describe, delete") {
  const Cli cli(shared_server());
  cli.ok({"produce", "subs"}, "a\nb\n");
  cli.refused(ErrorCode::kUnknownSubscription, {"subscription", "describe", "subs", "s"});
  cli.ok({"subscription", "create", "subs", "s", "--from", "earliest", "--mode", "nonresilient"});
  cli.refused(ErrorCode::kSubscriptionExists,
              {"subscription", "create", "subs", "s", "--mode", "nonresilient"});
  cli.refused(ErrorCode::kSubscriptionConflict, {"subscription", "create", "subs", "s"});
  const Json described = cli.json({"subscription", "describe", "subs", "s"});
  CHECK(described.at("subscription") == "s");
  CHECK(described.at("type") == "unique");
  CHECK(described.at("mode") == "nonresilient");
  CHECK(described.at("lag_messages") == 2);
  CHECK(described.at("partitions")[0].at("floor") == 0);
  cli.ok({"subscription", "create", "subs", "t"});
  CHECK(cli.json({"subscription", "list", "subs"}).at("subscriptions").size() == 2);
  cli.ok({"subscription", "delete", "subs", "s"});
  CHECK(cli.json({"subscription", "list", "subs"}).at("subscriptions").size() == 1);
  cli.refused(ErrorCode::kUnknownSubscription, {"subscription", "delete", "subs", "s"});
  cli.refused(ErrorCode::kUnknownSubscription,
              {"subscription", "reset", "subs", "s", "--to", "latest"});
  // The same name again begins anew.
  cli.ok({"subscription", "create", "subs", "s", "--from", "earliest"});
  CHECK(cli.ok(drain("subs")) == "a\nb\n");
}

TEST_CASE("a deleted topic takes its subscriptions with it") {
  const Cli cli(shared_server());
  cli.ok({"produce", "gone"}, "a\n");
  cli.ok({"subscription", "create", "gone", "s"});
  cli.ok({"topic", "delete", "gone"});
  cli.ok({"topic", "create", "gone"});
  CHECK(cli.json({"subscription", "list", "gone"}).at("subscriptions").empty());
}

TEST_CASE("reset moves a subscription, forth and back, all partitions or one") {
  const Cli cli(shared_server());
  cli.ok({"produce", "reset"}, "0\n1\n2\n");
  cli.ok({"subscription", "create", "reset", "s", "--from", "earliest"});
  cli.ok({"subscription", "reset", "reset", "s", "--to", "latest"});
  CHECK(cli.ok(drain("reset")).empty());
  cli.ok({"subscription", "reset", "reset", "s", "--to", "earliest"});
  CHECK(cli.ok(drain("reset")) == "0\n1\n2\n");
  cli.ok({"subscription", "reset", "reset", "s", "--to", "offset:2"});
  CHECK(cli.ok(drain("reset")) == "2\n");
  cli.ok({"subscription", "reset", "reset", "s", "--to", "-1h"});
  CHECK(cli.ok(drain("reset")) == "0\n1\n2\n");

  cli.ok({"topic", "create", "reset-one", "--partitions", "2"});
  for (int i = 0; i < 20; ++i) cli.ok({"produce", "reset-one"}, "x\ny\n");
  cli.ok(drain("reset-one", {"--from", "earliest"}));
  cli.ok({"subscription", "reset", "reset-one", "s", "--to", "earliest", "--partition", "1"});
  CHECK(partition_of(cli, "reset-one", 0).at("lag_messages") == 0);
  const Json one = partition_of(cli, "reset-one", 1);
  CHECK(one.at("floor") == 0);
  CHECK(one.at("lag_messages") == one.at("committed_offset"));
}

TEST_CASE("cursors are there after a kill: nothing that was confirmed comes again") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"produce", "t"}, "0\n1\n2\n");
  CHECK(cli.ok(consume("t", {"--from", "earliest", "--count", "2"})) == "0\n1\n");
  server.kill_now();
  server.start();
  CHECK(cli.ok(drain("t")) == "2\n");
}

TEST_CASE("a consumer lives through a restart of the server") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"produce", "t"}, "one\n");
  const auto consumer = cli.start(consume("t", {"--from", "earliest", "--count", "2"}));
  REQUIRE(wait_until([&] { return consumer->out() == "one\n"; }));
  server.kill_now();
  server.start();
  cli.ok({"produce", "t"}, "two\n");
  CHECK(consumer->wait().value_or(-1) == kDone);
  // The answer to "one" may have been on its way when the server died.
  CHECK((consumer->out() == "one\ntwo\n" || consumer->out() == "one\none\n"));
}

TEST_CASE("a server that stays away is status 4 after --timeout without progress") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"produce", "t"}, "one\n");
  const auto consumer = cli.start({"--timeout", "2000", "consume", "t", "--subscription", "s",
                                   "--from", "earliest", "--count", "2"});
  REQUIRE(wait_until([&] { return consumer->out() == "one\n"; }));
  server.kill_now();
  CHECK(consumer->wait().value_or(-1) == kTimedOut);
  CHECK(!consumer->err().empty());
}

TEST_CASE("SIGTERM ends a consumer after its answers are confirmed") {
  const Cli cli(shared_server());
  cli.ok({"produce", "ended"}, "one\n");
  const auto consumer = cli.start(consume("ended", {"--from", "earliest"}));
  REQUIRE(wait_until([&] { return consumer->out() == "one\n"; }));
  consumer->send_signal(SIGTERM);
  CHECK(consumer->wait().value_or(-1) == kDone);
  CHECK(partition_of(cli, "ended").at("floor") == 1);
}

}  // namespace
}  // namespace andyx::test
