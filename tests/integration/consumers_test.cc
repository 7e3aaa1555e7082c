// Several consumers of one subscription: who gets what, and what happens when one goes.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "andyx/client.h"
#include "protocol/base/limits.h"
#include "tests/integration/support/cli.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::test {
namespace {

using Strings = std::vector<std::string>;

Strings consume(const std::string& topic, const std::string& consumer, Strings more) {
  Strings arguments = {"consume", topic, "--subscription", "s", "--consumer", consumer};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Json describe(const Cli& cli, const std::string& topic) {
  return cli.json({"subscription", "describe", topic, "s"});
}

// Who is active, for each partition.
Strings active(const Cli& cli, const std::string& topic) {
  Strings names;
  const Json described = describe(cli, topic);
  for (const Json& partition : described.at("partitions"))
    names.push_back(partition.at("consumer"));
  return names;
}

std::map<std::string, int> shares(const Cli& cli, const std::string& topic) {
  std::map<std::string, int> of;
  for (const std::string& name : active(cli, topic)) ++of[name];
  return of;
}

std::size_t attached(const Cli& cli, const std::string& topic) {
  const CommandResult described =
      cli.run({"--output", "json", "subscription", "describe", topic, "s"});
  return described.exit_code == kDone ? Json::parse(described.out).at("consumers").size() : 0;
}

void create(const Cli& cli, const std::string& topic, const std::string& type, int partitions = 1,
            const std::string& mode = "nonresilient") {
  cli.ok({"topic", "create", topic, "--partitions", std::to_string(partitions)});
  cli.ok(
      {"subscription", "create", topic, "s", "--type", type, "--mode", mode, "--from", "earliest"});
}

std::set<std::string> lines_of(const Process& process) {
  const auto lines = split_lines(process.out());
  return {lines.begin(), lines.end()};
}

TEST_CASE("shared: both consumers are active everywhere and get every message once") {
  const Cli cli(shared_server());
  create(cli, "shared", "shared", 2);
  const auto a = cli.start(consume("shared", "a", {"--type", "shared"}));
  const auto b = cli.start(consume("shared", "b", {"--type", "shared"}));
  REQUIRE(wait_until([&] { return attached(cli, "shared") == 2; }));
  for (const std::string& names : active(cli, "shared")) CHECK((names == "a,b" || names == "b,a"));
  const Json consumers = describe(cli, "shared").at("consumers");
  for (const Json& consumer : consumers) {
    CHECK(consumer.at("active") == Json{0, 1});
    CHECK(consumer.at("address").get<std::string>().starts_with("127.0.0.1:"));
  }
  for (int i = 0; i < 20; ++i) cli.ok({"produce", "shared"}, std::to_string(i) + "\n");
  REQUIRE(wait_until([&] { return lines_of(*a).size() + lines_of(*b).size() == 20; }));
  CHECK(!lines_of(*a).empty());
  CHECK(!lines_of(*b).empty());
  CHECK(wait_until([&] { return describe(cli, "shared").at("lag_messages") == 0; }));
}

TEST_CASE("shared: four messages and two consumers are two and two") {
  const Cli cli(shared_server());
  create(cli, "halves", "shared");
  const auto a = cli.start(consume("halves", "a", {}));
  const auto b = cli.start(consume("halves", "b", {}));
  REQUIRE(wait_until([&] { return attached(cli, "halves") == 2; }));
  for (int i = 0; i < 4; ++i) cli.ok({"produce", "halves"}, std::to_string(i) + "\n");
  REQUIRE(wait_until([&] { return lines_of(*a).size() + lines_of(*b).size() == 4; }));
  CHECK(lines_of(*a).size() == 2);
}

TEST_CASE("shared: of two consumers on one connection one leaves, and the other goes on") {
  const Cli cli(shared_server());
  create(cli, "one-connection", "shared");
  auto client = client::Client::connect({.servers = {shared_server().address()}}).value();
  const auto subscribe = [&](const std::string& name) {
    return client.subscribe({.topic = "one-connection",
                             .subscription = "s",
                             .name = name,
                             .type = client::SubscriptionType::kShared,
                             .mode = client::SubscriptionMode::kNonresilient});
  };
  auto leaving = subscribe("leaving");
  auto staying = subscribe("staying");
  REQUIRE(leaving.has_value());
  REQUIRE(staying.has_value());
  for (int i = 0; i < 4; ++i) cli.ok({"produce", "one-connection"}, std::to_string(i) + "\n");
  REQUIRE(leaving->poll(30'000)->count() >= 1);  // and does not answer
  REQUIRE(leaving->close());
  CHECK(attached(cli, "one-connection") == 1);
  std::set<std::string> got;
  CHECK(wait_until([&] {
    auto batch = staying->poll(100).value();
    client::Message message;
    while (batch.next(message)) got.emplace(message.payload);
    staying->acknowledge(batch);
    return got.size() == 4;
  }));
  CHECK(staying->close().has_value());
}

TEST_CASE("shared: what a killed consumer held goes to the other") {
  const Cli cli(shared_server());
  create(cli, "shared-killed", "shared");
  const auto a = cli.start(consume("shared-killed", "a", {}));
  const auto b = cli.start(consume("shared-killed", "b", {}));
  REQUIRE(wait_until([&] { return attached(cli, "shared-killed") == 2; }));
  a->send_signal(SIGSTOP);  // gets messages and does not answer them
  cli.ok({"produce", "shared-killed"}, "0\n1\n2\n3\n4\n5\n6\n7\n");
  a->kill_now();
  CHECK(wait_until([&] { return lines_of(*b).size() == 8; }));
}

TEST_CASE("failover: partitions are spread evenly, and go to the next one when theirs is killed") {
  const Cli cli(shared_server());
  create(cli, "failover", "failover", 4);
  auto a = cli.start(consume("failover", "a", {"--type", "failover"}));
  REQUIRE(
      wait_until([&] { return shares(cli, "failover") == std::map<std::string, int>{{"a", 4}}; }));
  const auto b = cli.start(consume("failover", "b", {"--type", "failover"}));
  REQUIRE(wait_until(
      [&] { return shares(cli, "failover") == std::map<std::string, int>{{"a", 2}, {"b", 2}}; }));
  const Strings before = active(cli, "failover");
  for (int i = 0; i < 8; ++i) cli.ok({"produce", "failover"}, std::to_string(i) + "\n");
  REQUIRE(wait_until([&] { return lines_of(*a).size() + lines_of(*b).size() == 8; }));
  a->kill_now();
  REQUIRE(
      wait_until([&] { return shares(cli, "failover") == std::map<std::string, int>{{"b", 4}}; }));
  for (int i = 8; i < 16; ++i) cli.ok({"produce", "failover"}, std::to_string(i) + "\n");
  CHECK(wait_until([&] {
    const auto got = lines_of(*b);
    for (int i = 8; i < 16; ++i) {
      if (!got.contains(std::to_string(i))) return false;
    }
    return true;
  }));
}

Received subscribe_failover(RawConnection& connection, const char* topic, std::int32_t priority) {
  return connection.request<protocol::Subscribe>([&](Builder& builder) {
    const std::string consumer = "c" + std::to_string(priority);
    return protocol::CreateSubscribeDirect(
        builder, topic, "s", protocol::SubscriptionType::failover,
        protocol::SubscriptionMode::nonresilient, nullptr, true, consumer.c_str(),
        static_cast<std::uint64_t>(priority) + 1, priority);
  });
}

TEST_CASE("failover: a stream without messages ends when its partition goes, behind its answers") {
  const Cli cli(shared_server());
  create(cli, "taken", "failover");
  RawConnection first(shared_server().port()), second(shared_server().port());
  first.hello();
  second.hello();
  const TopicId topic = cli.json({"topic", "describe", "taken"}).at("topic_id");
  const Received lower = subscribe_failover(first, "taken", 0);
  const auto* mine = lower.as<protocol::SubscribeReply>();
  REQUIRE(mine != nullptr);
  REQUIRE(mine->partition_epochs()->size() == 1);
  std::vector<protocol::Body> pushed;
  first.on_pushed([&](const Received& frame) { pushed.push_back(frame.frame->body_type()); });
  const Received opened = first.request<protocol::StreamOpen>([&](Builder& builder) {
    return protocol::CreateStreamOpen(builder, topic, 0, mine->subscription_id(),
                                      mine->partition_epochs()->Get(0), 7, 1 << 20, 100);
  });
  REQUIRE(opened.as<protocol::StreamOpenReply>() != nullptr);
  first.produce_text({topic, 0}, "held");
  REQUIRE(wait_until([&] { return first.ping(), !pushed.empty(); }));
  REQUIRE(subscribe_failover(second, "taken", 1).as<protocol::SubscribeReply>() != nullptr);
  REQUIRE(wait_until([&] { return first.ping(), pushed.size() == 2; }));
  CHECK(pushed == std::vector{protocol::Body::Deliver, protocol::Body::Assigned});

  const Received answered = first.request<protocol::Answer>([&](Builder& builder) {
    const protocol::OffsetRange all(0, 0);
    return protocol::CreateAnswer(builder, 7, protocol::AnswerKind::acknowledge,
                                  builder.CreateVectorOfStructs(&all, 1));
  });
  CHECK(answered.as<protocol::Done>() != nullptr);
  const auto closed = [&] { return std::ranges::count(pushed, protocol::Body::StreamClosed) > 0; };
  CHECK_FALSE(closed());  // the answer came first
  CHECK(wait_until([&] { return first.ping(), closed(); }));
}

TEST_CASE("failover: the highest priority is active, the others stand by in that order") {
  const Cli cli(shared_server());
  create(cli, "priority", "failover", 2);
  const auto low = cli.start(consume("priority", "low", {"--priority", "-1"}));
  REQUIRE(wait_until([&] { return shares(cli, "priority")["low"] == 2; }));
  auto high = cli.start(consume("priority", "high", {"--priority", "5"}));
  REQUIRE(wait_until([&] { return shares(cli, "priority")["high"] == 2; }));
  const auto middle = cli.start(consume("priority", "middle", {"--priority", "1"}));
  REQUIRE(wait_until([&] { return attached(cli, "priority") == 3; }));
  CHECK(shares(cli, "priority")["high"] == 2);
  cli.ok({"produce", "priority"}, "x\ny\n");
  REQUIRE(wait_until([&] { return lines_of(*high).size() == 2; }));
  high->send_signal(SIGTERM);
  CHECK(high->wait().value_or(-1) == kDone);
  CHECK(wait_until([&] { return shares(cli, "priority")["middle"] == 2; }));
  cli.ok({"produce", "priority"}, "z\n");
  CHECK(wait_until([&] { return middle->out() == "z\n"; }));
  CHECK(low->out().empty());
}

TEST_CASE("a second consumer of one name is refused; with --take-over the first one ends") {
  const Cli cli(shared_server());
  for (const std::string type : {"unique", "failover", "shared"}) {
    INFO("type: ", type);
    const std::string topic = "named-" + type;
    create(cli, topic, type);
    const auto first = cli.start(consume(topic, "me", {}));
    REQUIRE(wait_until([&] { return attached(cli, topic) == 1; }));
    cli.refused(ErrorCode::kSubscriptionBusy, consume(topic, "me", {"--idle-exit", "500"}));
    const auto second = cli.start(consume(topic, "me", {"--take-over"}));
    CHECK(first->wait().value_or(-1) == kRefused);
    CHECK(first->err().find("stale_attach") != std::string::npos);
    cli.ok({"produce", topic}, "one\n");
    CHECK(wait_until([&] { return second->out() == "one\n"; }));
  }
}

TEST_CASE("another type, mode or key order than it was created with is a conflict") {
  const Cli cli(shared_server());
  create(cli, "conflict", "shared");
  const auto with = [](Strings more) {
    more.insert(more.end(), {"--idle-exit", "100"});
    return consume("conflict", "c", more);
  };
  cli.refused(ErrorCode::kSubscriptionConflict, with({"--type", "failover"}));
  cli.refused(ErrorCode::kSubscriptionConflict, with({"--mode", "resilient"}));
  cli.refused(ErrorCode::kSubscriptionConflict, with({"--key-ordered"}));
  cli.ok(with({"--type", "shared", "--mode", "nonresilient"}));
  cli.refused(ErrorCode::kBadArgument, {"subscription", "create", "conflict", "ordered", "--type",
                                        "failover", "--key-ordered"});
  cli.ok({"subscription", "create", "conflict", "ordered", "--type", "shared", "--key-ordered"});
  const Json ordered = cli.json({"subscription", "describe", "conflict", "ordered"});
  CHECK(ordered.at("key_ordered") == true);
  cli.ok({"consume", "conflict", "--subscription", "ordered", "--idle-exit", "100"});
}

TEST_CASE("a consumer that falls silent loses its place within its session") {
  const Cli cli(shared_server());
  create(cli, "silent", "failover");
  const auto a = cli.start(consume("silent", "a", {}));
  REQUIRE(wait_until([&] { return attached(cli, "silent") == 1; }));
  const auto b = cli.start(consume("silent", "b", {}));
  REQUIRE(wait_until([&] { return attached(cli, "silent") == 2; }));
  REQUIRE(active(cli, "silent") == Strings{"a"});
  a->send_signal(SIGSTOP);
  const auto stopped = Clock::now();
  REQUIRE(wait_until([&] { return active(cli, "silent") == Strings{"b"}; }));
  CHECK(Clock::now() - stopped < Millis(2 * limits::kConsumerSessionMs));
  cli.ok({"produce", "silent"}, "one\n");
  CHECK(wait_until([&] { return b->out() == "one\n"; }));
  // It wakes up, attaches again and stands by.
  a->send_signal(SIGCONT);
  CHECK(wait_until([&] { return attached(cli, "silent") == 2; }));
}

TEST_CASE("reset goes on under attached consumers of every type") {
  const Cli cli(shared_server());
  for (const std::string type : {"unique", "failover", "shared"}) {
    INFO("type: ", type);
    const std::string topic = "reset-" + type;
    create(cli, topic, type, 2);
    cli.ok({"produce", topic}, "0\n1\n2\n3\n");
    const auto consumer = cli.start(consume(topic, "c", {"--count", "8"}));
    REQUIRE(wait_until([&] {
      return split_lines(consumer->out()).size() == 4 &&
             describe(cli, topic).at("lag_messages") == 0;
    }));
    cli.ok({"subscription", "reset", topic, "s", "--to", "earliest"});
    CHECK(consumer->wait().value_or(-1) == kDone);
    CHECK(lines_of(*consumer).size() == 4);
  }
}

TEST_CASE("a deleted subscription ends its consumers, also one that stands by") {
  const Cli cli(shared_server());
  create(cli, "deleted", "failover");
  const auto a = cli.start(consume("deleted", "a", {}));
  const auto b = cli.start(consume("deleted", "b", {}));
  REQUIRE(wait_until([&] { return attached(cli, "deleted") == 2; }));
  cli.ok({"subscription", "delete", "deleted", "s"});
  CHECK(a->wait().value_or(-1) == kRefused);
  CHECK(b->wait().value_or(-1) == kRefused);
  CHECK(a->err().find("unknown_subscription") != std::string::npos);
}

TEST_CASE("consumers of every type live through a restart of the server") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  for (const std::string type : {"failover", "shared"}) {
    create(cli, type, type, 2);
    const auto a = cli.start(consume(type, "a", {}));
    const auto b = cli.start(consume(type, "b", {}));
    REQUIRE(wait_until([&] { return attached(cli, type) == 2; }));
    server.kill_now();
    server.start();
    REQUIRE(wait_until([&] { return attached(cli, type) == 2; }));
    cli.ok({"produce", type}, "0\n1\n2\n3\n");
    CHECK(wait_until([&] { return lines_of(*a).size() + lines_of(*b).size() == 4; }));
  }
}

TEST_CASE("describe --watch prints again and again, until --count or a signal") {
  const Cli cli(shared_server());
  create(cli, "watched", "shared");
  const std::string three = cli.ok({"--output", "json", "subscription", "describe", "watched", "s",
                                    "--watch", "--interval", "1", "--count", "3"});
  const auto lines = split_lines(three);
  REQUIRE(lines.size() == 3);
  CHECK(Json::parse(lines[2]).at("subscription") == "s");
  const auto watch =
      cli.start({"subscription", "describe", "watched", "s", "--watch", "--interval", "1"});
  REQUIRE(wait_until([&] { return split_lines(watch->out()).size() > 4; }));
  CHECK(watch->out().find('\x1b') == std::string::npos);  // not on a terminal
  watch->send_signal(SIGINT);
  CHECK(watch->wait().value_or(-1) == kDone);
}

}  // namespace
}  // namespace andyx::test
