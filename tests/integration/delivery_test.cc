// Every cell of type x mode x answer, and what happens to messages in time: ack timeouts, delays,
// dead letters, de-duplication. Real processes throughout.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "andyx/client.h"
#include "protocol/net/loop.h"
#include "tests/integration/support/cli.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

using Strings = std::vector<std::string>;

const Strings kTypes = {"unique", "failover", "shared"};
const Strings kModes = {"resilient", "nonresilient"};

void create(const Cli& cli, const std::string& topic, int partitions = 1) {
  cli.ok({"topic", "create", topic, "--partitions", std::to_string(partitions)});
}

Strings consume(const std::string& topic, Strings more) {
  Strings arguments = {"consume", topic, "--subscription", "s", "--from", "earliest"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string messages(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += "m" + std::to_string(i) + '\n';
  return lines;
}

std::multiset<std::string> lines_of(const std::string& text) {
  const auto lines = split_lines(text);
  return {lines.begin(), lines.end()};
}

Json partition_of(const Cli& cli, const std::string& topic, std::size_t partition = 0) {
  return cli.json({"subscription", "describe", topic, "s"}).at("partitions").at(partition);
}

std::uint64_t lag(const Cli& cli, const std::string& topic) {
  return cli.json({"subscription", "describe", topic, "s"}).at("lag_messages");
}

client::Client connect() {
  auto client = client::Client::connect({.servers = {shared_server().address()}});
  REQUIRE_MESSAGE(client.has_value(), client.error().message);
  return std::move(*client);
}

struct Got {
  std::string payload;
  Offset offset;
  std::uint32_t delivery_count;
};

// A consumer that is read message by message.
class Reader {
 public:
  Reader(client::Client& client, client::ConsumerOptions options)
      : consumer_(attach(client, std::move(options))) {}

  client::Consumer* operator->() { return &consumer_; }

  // Nothing when none comes for a long time.
  std::optional<Got> next() {
    client::Message message;
    const bool found = wait_until([&] {
      if (rest_.next(message)) return true;
      auto batch = consumer_.poll(50);
      REQUIRE_MESSAGE(batch.has_value(), batch.error().message);
      rest_ = std::move(*batch);
      return rest_.next(message);
    });
    if (!found) return std::nullopt;
    return Got{std::string(message.payload), message.offset, message.delivery_count};
  }

  void answer(client::AnswerKind kind, const Got& got, std::uint32_t delay_ms = 0) {
    consumer_.answer(kind, 0, {got.offset, got.offset}, delay_ms);
  }

 private:
  static client::Consumer attach(client::Client& client, client::ConsumerOptions options) {
    options.subscription = "s";
    options.start = client::Start::earliest();
    auto consumer = client.subscribe(std::move(options));
    REQUIRE_MESSAGE(consumer.has_value(), consumer.error().message);
    return std::move(*consumer);
  }

  client::Consumer consumer_;
  client::MessageBatch rest_;
};

TEST_CASE("every type and mode: acknowledged and skipped never again, unacknowledged again") {
  const Cli cli(shared_server());
  for (const std::string& type : kTypes) {
    for (const std::string& mode : kModes) {
      for (const std::string answer : {"ack", "skip", "unack"}) {
        INFO(type, " ", mode, " ", answer);
        const std::string topic = "cell-" + type + "-" + mode + "-" + answer;
        create(cli, topic, 2);
        cli.ok({"produce", topic}, messages(6));
        // Of a resilient subscription the same message comes again and again.
        const int first = answer == "unack" && mode == "resilient" ? 2 : 6;
        cli.ok(consume(topic, {"--type", type, "--mode", mode, "--answer", answer, "--count",
                               std::to_string(first)}));
        if (answer != "unack") {
          CHECK(lag(cli, topic) == 0);
          CHECK(cli.ok(consume(topic, {"--idle-exit", "300"})).empty());
          std::uint64_t skipped = 0;
          for (std::size_t p = 0; p < 2; ++p)
            skipped += partition_of(cli, topic, p).at("skipped").get<std::uint64_t>();
          CHECK(skipped == (answer == "skip" ? 6u : 0u));
          continue;
        }
        CHECK(lag(cli, topic) == 6);
        CHECK(lines_of(cli.ok(consume(topic, {"--count", "6"}))) == lines_of(messages(6)));
        CHECK(lag(cli, topic) == 0);
      }
    }
  }
}

TEST_CASE("what is not answered in time goes to another consumer; the late answer does no harm") {
  const Cli cli(shared_server());
  create(cli, "timeout");
  auto client = connect();
  const client::ConsumerOptions options{.topic = "timeout",
                                        .type = client::SubscriptionType::kShared,
                                        .mode = client::SubscriptionMode::kNonresilient,
                                        .ack_timeout_ms = 100};
  Reader slow(client, options);
  cli.ok({"produce", "timeout"}, "one\n");
  const auto first = slow.next();
  REQUIRE(first);
  CHECK(first->delivery_count == 1);
  Reader other(client, options);
  const auto again = other.next();
  REQUIRE(again);
  CHECK(again->payload == "one");
  CHECK(again->delivery_count >= 2);
  other.answer(client::AnswerKind::kAcknowledge, *again);
  REQUIRE(other->flush_answers());
  slow.answer(client::AnswerKind::kAcknowledge, *first);
  CHECK(slow->flush_answers());
  CHECK(lag(cli, "timeout") == 0);
}

TEST_CASE("a message that is extended stays with its consumer") {
  const Cli cli(shared_server());
  create(cli, "extend");
  auto client = connect();
  Reader consumer(
      client,
      {.topic = "extend", .mode = client::SubscriptionMode::kNonresilient, .ack_timeout_ms = 400});
  cli.ok({"produce", "extend"}, "work\n");
  const auto got = consumer.next();
  REQUIRE(got);
  for (int i = 0; i < 12; ++i) {  // well over the timeout
    consumer.answer(client::AnswerKind::kExtend, *got);
    REQUIRE(consumer->flush_answers());
    const auto batch = consumer->poll(100);
    REQUIRE(batch.has_value());
    CHECK(batch->empty());
  }
  consumer.answer(client::AnswerKind::kAcknowledge, *got);
  REQUIRE(consumer->close());
  CHECK(lag(cli, "extend") == 0);
}

TEST_CASE("an unacknowledged message comes again after its delay, later ones pass it") {
  const Cli cli(shared_server());
  create(cli, "delay");
  cli.ok({"produce", "delay"}, messages(3));
  auto client = connect();
  Reader consumer(client, {.topic = "delay", .mode = client::SubscriptionMode::kNonresilient});
  const auto first = consumer.next();
  REQUIRE(first);
  const TimeUs asked_us = net::wall_time_us();
  consumer.answer(client::AnswerKind::kUnacknowledge, *first, 700);
  CHECK(consumer.next()->payload == "m1");
  CHECK(consumer.next()->payload == "m2");
  const auto again = consumer.next();
  REQUIRE(again);
  CHECK(again->payload == "m0");
  CHECK(again->delivery_count == 2);
  CHECK(net::wall_time_us() - asked_us >= 700'000);
}

TEST_CASE("a delayed message is delivered when due, not before, and others pass it") {
  const Cli cli(shared_server());
  create(cli, "due");
  cli.ok({"produce", "due", "--deliver-at", "+2s"}, "later\n");
  const TimeUs produced_us = net::wall_time_us();
  cli.ok({"produce", "due"}, "now\n");
  for (const std::string mode : {"nonresilient", "resilient"}) {
    cli.ok({"subscription", "create", "due", mode, "--mode", mode, "--from", "earliest"});
  }
  auto client = connect();
  for (const std::string mode : {"nonresilient", "resilient"}) {
    INFO(mode);
    const auto lines = split_lines(
        cli.ok({"consume", "due", "--subscription", mode, "--count", "2", "--print", "json"}));
    REQUIRE(lines.size() == 2);
    if (mode == "nonresilient") CHECK(Json::parse(lines[0]).at("payload") == "now");
    std::set<std::string> payloads;
    for (const auto& line : lines) payloads.insert(Json::parse(line).at("payload"));
    CHECK(payloads == std::set<std::string>{"later", "now"});
    CHECK(net::wall_time_us() - produced_us >= 1'500'000);
  }
}

TEST_CASE("dead letters: listed with their origin, sent back, and the subscription goes on") {
  const Cli cli(shared_server());
  for (const std::string& mode : kModes) {
    INFO(mode);
    const std::string topic = "poison-" + mode;
    create(cli, topic);
    cli.ok({"produce", topic, "--key", "k", "--header", "h=v"}, messages(3));
    cli.ok(consume(topic,
                   {"--mode", mode, "--answer", "unack", "--max-deliveries", "2", "--count", "6"}));
    REQUIRE(wait_until([&] { return lag(cli, topic) == 0; }));
    CHECK(partition_of(cli, topic).at("dead_lettered") == 3);
    const auto letters = split_lines(cli.ok({"--output", "json", "dead", "list", topic}));
    REQUIRE(letters.size() == 3);
    const Json letter = Json::parse(letters[1]);
    CHECK(letter.at("payload") == "m1");
    CHECK(letter.at("key") == "k");
    CHECK(letter.at("headers").at("h") == "v");
    CHECK(letter.at("headers").at("andyx-dead-subscription") == "s");
    CHECK(letter.at("headers").at("andyx-dead-offset") == "1");
    CHECK(letter.at("headers").at("andyx-dead-deliveries") == "2");
    CHECK(cli.json({"dead", "redrive", topic}).at("redriven") == 3);
    CHECK(cli.ok({"dead", "list", topic}).empty());
    const auto again = split_lines(cli.ok(consume(topic, {"--count", "3", "--print", "json"})));
    REQUIRE(again.size() == 3);
    CHECK(Json::parse(again[2]).at("payload") == "m2");
    CHECK_FALSE(Json::parse(again[2]).at("headers").contains("andyx-dead-offset"));
  }
}

TEST_CASE("key order: messages of one key come in order, a failing one blocks only its key") {
  const Cli cli(shared_server());
  create(cli, "keys");
  cli.ok({"produce", "keys", "--key-separator", ":"}, "a:a0\nb:b0\na:a1\nb:b1\na:a2\n");
  auto client = connect();
  Reader consumer(client, {.topic = "keys",
                           .type = client::SubscriptionType::kShared,
                           .mode = client::SubscriptionMode::kNonresilient,
                           .key_ordered = true,
                           .credit_messages = 1});
  Strings order;
  bool failed = false;
  while (order.size() < 5) {
    const auto got = consumer.next();
    REQUIRE(got);
    const bool fails = got->payload == "a0" && !std::exchange(failed, true);
    if (!fails) order.push_back(got->payload);
    consumer.answer(fails ? client::AnswerKind::kUnacknowledge : client::AnswerKind::kAcknowledge,
                    *got, fails ? 200 : 0);
  }
  Strings of_a, of_b;
  for (const auto& payload : order) (payload[0] == 'a' ? of_a : of_b).push_back(payload);
  CHECK(of_a == Strings{"a0", "a1", "a2"});
  CHECK(of_b == Strings{"b0", "b1"});
  CHECK(order[0] == "b0");  // a0 failed: b passed it
}

TEST_CASE("one batch is divided among the consumers of a shared subscription") {
  const Cli cli(shared_server());
  create(cli, "divided");
  cli.ok({"subscription", "create", "divided", "s", "--type", "shared", "--mode", "nonresilient",
          "--from", "earliest"});
  auto client = connect();
  const client::ConsumerOptions options{.topic = "divided",
                                        .type = client::SubscriptionType::kShared,
                                        .mode = client::SubscriptionMode::kNonresilient};
  Reader a(client, options), b(client, options);
  auto producer = client.producer({.topic = "divided", .linger_ms = 200});
  REQUIRE(producer.has_value());
  for (int i = 0; i < 4; ++i) REQUIRE(producer->send({.payload = "m"}));
  REQUIRE(producer->flush());
  for (Reader* consumer : {&a, &b}) {
    for (int i = 0; i < 2; ++i) CHECK(consumer->next());
    const auto more = (*consumer)->poll(100);
    REQUIRE(more.has_value());
    CHECK(more->empty());
  }
}

TEST_CASE("a message id is stored once within the topic's window, also after a restart") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  create(cli, "ids");
  cli.ok({"topic", "settings", "ids", "--set", "dedup-window-ms=600000"});
  const Strings produce = {"produce", "ids", "--header", "id=order-1", "--message-id-header", "id"};
  cli.ok(produce, "pay\n");
  cli.ok(produce, "pay again\n");
  server.kill_now();
  server.start();
  const Cli again(server);
  again.ok(produce, "and again\n");
  CHECK(again.ok({"read", "ids"}) == "pay\n");
}

}  // namespace
}  // namespace andyx::test
