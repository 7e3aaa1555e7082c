// Producers with a name, against real servers: one single producer at a time, late writes of an
// earlier one never stored, over kills and restarts. And what unkeyed messages and times do.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "andyx/client.h"
#include "protocol/batch/batch_builder.h"
#include "tests/integration/support/cli.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::test {
namespace {

// `andyx-cli produce` that goes on as long as the test gives it lines.
class CliProducer {
 public:
  CliProducer(const Cli& cli, std::vector<std::string> arguments) {
    REQUIRE(::mkfifo(path_.c_str(), 0600) == 0);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);  // does not wait for the reader
    REQUIRE(fd_ >= 0);
    arguments.insert(arguments.begin(), "produce");
    arguments.insert(arguments.end(), {"--file", path_});
    process_ = cli.start(std::move(arguments));
  }
  ~CliProducer() { end_input(); }

  void line(std::string text) {
    text += '\n';
    REQUIRE(::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void end_input() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  Process& process() { return *process_; }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("lines");
  int fd_ = -1;
  std::unique_ptr<Process> process_;
};

std::vector<std::string> single(const std::string& topic) {
  return {topic, "--producer", "p", "--instance", "single"};
}
std::vector<std::string> produce_single(const std::string& topic) {
  auto arguments = single(topic);
  arguments.insert(arguments.begin(), "produce");
  return arguments;
}

Json listed(const Cli& cli, const std::string& topic, std::size_t index = 0) {
  const Json producers = cli.json({"producer", "list", topic}).at("producers");
  REQUIRE(producers.size() > index);
  return producers[index];
}

struct Opened {
  ProducerId id = 0;
  std::uint32_t epoch = 0;
};

Received open_raw(RawConnection& connection, const std::string& topic, std::uint64_t session,
                  protocol::ProducerInstance instance = protocol::ProducerInstance::single,
                  Opened resumed = {}) {
  return connection.request<protocol::ProducerOpen>([&](Builder& builder) {
    return protocol::CreateProducerOpenDirect(builder, "p", topic.c_str(), instance, session,
                                              resumed.id, resumed.epoch);
  });
}
Opened opened_of(const Received& answer) {
  const auto* reply = answer.as<protocol::ProducerOpenReply>();
  REQUIRE(reply != nullptr);
  CHECK(reply->session_timeout_ms() == 10'000);
  return {reply->producer_id(), reply->producer_epoch()};
}
Bytes stamped(const std::string& payload, Opened who, std::uint64_t sequence) {
  batch::BatchBuilder builder;
  REQUIRE(builder.add({.payload = payload, .time_us = 1}));
  const auto batch = builder.build({who.id, who.epoch, sequence});
  return {batch.span().begin(), batch.span().end()};
}
void close_raw(RawConnection& connection, Opened who) {
  const Received answer = connection.request<protocol::ProducerClose>(
      [&](Builder& builder) { return protocol::CreateProducerClose(builder, who.id, who.epoch); });
  CHECK(answer.as<protocol::Done>() != nullptr);
}
RawConnection open_connection(const ServerProcess& server) {
  RawConnection connection(server.port());
  connection.hello();
  return connection;
}

TEST_CASE("four unkeyed messages on two partitions are two and two, from one command") {
  const Cli cli(shared_server());
  for (int round = 0; round < 5; ++round) {
    const std::string topic = "pairs-" + std::to_string(round);
    cli.ok({"topic", "create", topic, "--partitions", "2"});
    cli.ok({"produce", topic}, "1\n2\n3\n4\n");
    const Json partitions = cli.json({"topic", "describe", topic}).at("partitions");
    CHECK(partitions[0].at("committed_offset") == 2);
    CHECK(partitions[1].at("committed_offset") == 2);
  }
}

TEST_CASE("where producers do not come by themselves, one has to be created first") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "no/p/c/registered"});
  cli.ok({"topic", "create", "no/p/free/t"});
  cli.ok({"tenant", "settings", "no", "--set", "producer-auto-create=false"});
  cli.ok({"component", "settings", "no/p/free", "--set", "producer-auto-create=true"});  // nearer
  for (const std::string instance : {"single", "multiple"}) {
    INFO(instance);
    const auto produce = [&](const std::string& topic) {
      return std::vector<std::string>{"produce", topic,        "--producer",
                                      instance,  "--instance", instance};
    };
    cli.refused(ErrorCode::kCreationNotAllowed, produce("no/p/c/registered"), "early\n");
    cli.ok({"producer", "create", "no/p/c/registered", instance, "--instance", instance});
    cli.ok(produce("no/p/c/registered"), instance + "\n");
    cli.ok(produce("no/p/free/t"), "free\n");
    // Deleted, it is as if it had never been.
    cli.ok({"producer", "delete", "no/p/c/registered", instance});
    cli.refused(ErrorCode::kCreationNotAllowed, produce("no/p/c/registered"), "late\n");
  }
  const CommandResult refused =
      cli.run({"produce", "no/p/c/registered", "--producer", "nobody"}, "x\n");
  CHECK(refused.err.find("nobody") != std::string::npos);
  CHECK(refused.err.find("producer-auto-create") != std::string::npos);
  cli.ok({"produce", "no/p/c/registered"}, "nameless\n");  // leaves no record
  CHECK(cli.ok({"read", "no/p/c/registered"}) == "single\nmultiple\nnameless\n");
}

TEST_CASE("the second single producer is refused; kill -9 of the first frees the place") {
  const Cli cli(shared_server());
  CliProducer first(cli, single("killed"));
  first.line("first");
  REQUIRE(wait_until([&] { return cli.run({"read", "killed"}).out == "first\n"; }));
  CHECK(listed(cli, "killed").at("connected") == 1);
  const auto epoch = listed(cli, "killed").at("producer_epoch").get<std::uint32_t>();
  cli.refused(ErrorCode::kProducerBusy, produce_single("killed"), "second\n");
  CHECK(listed(cli, "killed").at("producer_epoch") == epoch);

  first.process().kill_now();
  REQUIRE(
      wait_until([&] { return cli.run(produce_single("killed"), "third\n").exit_code == kDone; }));
  CHECK(cli.ok({"read", "killed"}) == "first\nthird\n");
  CHECK(listed(cli, "killed").at("producer_epoch").get<std::uint32_t>() > epoch);
  CHECK(listed(cli, "killed").at("connected") == 0);  // closed before the command ended
}

TEST_CASE("a single producer that stood still is replaced after ten seconds, and fenced") {
  const Cli cli(shared_server());
  CliProducer first(cli, single("stopped"));
  first.line("early");
  REQUIRE(wait_until([&] { return cli.run({"read", "stopped"}).out == "early\n"; }));
  first.process().send_signal(SIGSTOP);
  first.line("late");
  cli.refused(ErrorCode::kProducerBusy, produce_single("stopped"), "too soon\n");
  REQUIRE(
      wait_until([&] { return cli.run(produce_single("stopped"), "other\n").exit_code == kDone; }));
  first.process().send_signal(SIGCONT);
  first.end_input();
  CHECK(first.process().wait() == kRefused);
  check_error_text(first.process().err(), ErrorCode::kProducerFenced);
  CHECK(cli.ok({"read", "stopped"}) == "early\nother\n");
}

TEST_CASE("every partition refuses the earlier epoch once the next open is answered") {
  ServerProcess& server = shared_server();
  RawConnection first = open_connection(server), second = open_connection(server);
  const TopicId topic = first.create_topic("fenced", 8);
  const Opened early = opened_of(open_raw(first, "fenced", 1));
  require_error(open_raw(second, "fenced", 2), ErrorCode::kProducerBusy);
  require_error(open_raw(second, "fenced", 2, protocol::ProducerInstance::multiple),
                ErrorCode::kProducerConflict);
  REQUIRE(first.produce({topic, 0}, stamped("stored", early, 0)).as<protocol::ProduceReply>());
  close_raw(first, early);
  close_raw(first, early);  // idempotent
  const Opened late = opened_of(open_raw(second, "fenced", 2));
  CHECK(late.id == early.id);
  CHECK(late.epoch > early.epoch);
  for (std::uint32_t partition = 0; partition < 8; ++partition) {
    require_error(first.produce({topic, partition}, stamped("x", early, partition == 0)),
                  ErrorCode::kProducerFenced);
  }
  require_error(first.produce({topic, 0}, stamped("x", {late.id, late.epoch + 256}, 0)),
                ErrorCode::kBadArgument);
  // Who comes back for a place that is another's now does not raise the epoch.
  require_error(open_raw(first, "fenced", 1, protocol::ProducerInstance::single, early),
                ErrorCode::kProducerBusy);
  close_raw(second, late);
  require_error(open_raw(first, "fenced", 1, protocol::ProducerInstance::single, early),
                ErrorCode::kProducerFenced);
  REQUIRE(second.produce({topic, 0}, stamped("y", late, 0)).as<protocol::ProduceReply>());
}

TEST_CASE("the same session is a reconnect: the same epoch, also while its old connection stands") {
  ServerProcess& server = shared_server();
  RawConnection first = open_connection(server), second = open_connection(server);
  const TopicId topic = first.create_topic("reconnected");
  const Opened who = opened_of(open_raw(first, "reconnected", 5));
  const Bytes batch = stamped("once", who, 0);
  const Received stored = first.produce({topic, 0}, batch);
  REQUIRE(stored.as<protocol::ProduceReply>() != nullptr);
  const auto resume = [&](RawConnection& connection) {
    return opened_of(
        open_raw(connection, "reconnected", 5, protocol::ProducerInstance::single, who));
  };
  CHECK(resume(second).epoch == who.epoch);
  first.end_sending();
  REQUIRE(first.wait_closed());
  RawConnection third = open_connection(server);
  require_error(open_raw(third, "reconnected", 6), ErrorCode::kProducerBusy);
  const Received again = second.produce({topic, 0}, batch);
  REQUIRE(again.as<protocol::ProduceReply>() != nullptr);
  CHECK(again.as<protocol::ProduceReply>()->duplicate());
  CHECK(again.as<protocol::ProduceReply>()->base_offset() == 0);
}

TEST_CASE("a deleted producer is fenced, single or one of many") {
  ServerProcess& server = shared_server();
  const Cli cli(server);
  for (const auto instance :
       {protocol::ProducerInstance::single, protocol::ProducerInstance::multiple}) {
    const std::string name = protocol::EnumNameProducerInstance(instance);
    INFO("instance ", name);
    RawConnection connection = open_connection(server), other = open_connection(server);
    const TopicId topic = connection.create_topic("deleted-" + name);
    const Opened who = opened_of(open_raw(connection, "deleted-" + name, 5, instance));
    REQUIRE(connection.produce({topic, 0}, stamped("x", who, 0)).as<protocol::ProduceReply>());
    cli.ok({"producer", "delete", "deleted-" + name, "p"});
    require_error(connection.produce({topic, 0}, stamped("y", who, 1)), ErrorCode::kProducerFenced);
    require_error(open_raw(connection, "deleted-" + name, 5, instance, who),
                  ErrorCode::kProducerFenced);
    cli.refused(ErrorCode::kUnknownProducer, {"producer", "delete", "deleted-" + name, "p"});
    const Opened anew = opened_of(open_raw(other, "deleted-" + name, 6, instance));
    CHECK(anew.id != who.id);
    REQUIRE(other.produce({topic, 0}, stamped("z", anew, 0)).as<protocol::ProduceReply>());
  }
}

TEST_CASE("a restart keeps records, epochs and fences; who has the place goes on") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"topic", "create", "kept", "--partitions", "2"});
  cli.ok({"producer", "create", "kept", "idle", "--instance", "multiple"});
  const Opened early = [&] {
    RawConnection connection = open_connection(server);
    return opened_of(open_raw(connection, "kept", 1));
  }();

  auto client = client::Client::connect({.servers = {server.address()}}).value();
  Result<client::Producer> producer = fail(ErrorCode::kProducerBusy, "");
  REQUIRE(wait_until([&] {  // the raw connection's end has to be seen
    producer = client.producer(
        {.topic = "kept", .name = "p", .instance = client::ProducerInstance::kSingle});
    return producer.has_value();
  }));
  REQUIRE(producer->send_and_wait({.payload = "before"}).has_value());
  const Json before = cli.json({"producer", "list", "kept"}).at("producers");
  for (int restart = 0; restart < 2; ++restart) {
    if (restart == 0)
      server.kill_now();
    else
      REQUIRE(server.terminate() == 0);
    server.start();
    REQUIRE(producer->send_and_wait({.payload = "after"}).has_value());
    CHECK(cli.json({"producer", "list", "kept"}).at("producers") == before);
    RawConnection connection = open_connection(server);
    const auto topic = cli.json({"topic", "describe", "kept"}).at("topic_id").get<TopicId>();
    for (std::uint32_t partition = 0; partition < 2; ++partition) {
      require_error(connection.produce({topic, partition}, stamped("late", early, 0)),
                    ErrorCode::kProducerFenced);
    }
    cli.refused(ErrorCode::kProducerBusy, produce_single("kept"), "x\n");
  }
  CHECK(producer->close().has_value());
  cli.ok(produce_single("kept"), "next\n");
}

TEST_CASE("a time to deliver at is stored with the message; too far ahead is refused") {
  const Cli cli(shared_server());
  cli.ok({"produce", "later", "--deliver-at", "+1h"}, "in an hour\n");
  cli.ok({"produce", "later", "--deliver-at", "2001-01-01T00:00:00Z"}, "long ago\n");
  cli.ok({"produce", "later"}, "at once\n");
  const std::vector<Json> messages = cli.json_lines({"read", "later"});
  REQUIRE(messages.size() == 3);
  CHECK(messages[0].at("deliver_at").get<std::string>() >
        messages[0].at("append_time").get<std::string>());
  CHECK(messages[1].at("deliver_at") == "2001-01-01T00:00:00.000000Z");
  CHECK(!messages[2].contains("deliver_at"));
  cli.refused(ErrorCode::kBadArgument, {"produce", "later", "--deliver-at", "+400d"}, "never\n");
  CHECK(cli.run({"produce", "later", "--deliver-at", "soon"}, "x\n").exit_code == kWrongUsage);
}

}  // namespace
}  // namespace andyx::test
