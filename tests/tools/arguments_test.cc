#include "tools/cli/arguments.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#include "tools/bench/options.h"

using namespace andyx;

namespace {

template <typename Parsed>
Parsed parse(Parsed (*parser)(int, const char* const*), const char* program,
             std::initializer_list<const char*> words) {
  std::vector<const char*> argv{program};
  argv.insert(argv.end(), words);
  return parser(static_cast<int>(argv.size()), argv.data());
}

auto parse_cli(std::initializer_list<const char*> words) {
  return parse(&cli::parse_arguments, "andyx-cli", words);
}

auto parse_bench(std::initializer_list<const char*> words) {
  return parse(&bench::parse_options, "andyx-bench", words);
}

template <typename Command>
Command command(std::initializer_list<const char*> words) {
  auto parsed = parse_cli(words);
  REQUIRE(std::holds_alternative<cli::Arguments>(parsed));
  auto& arguments = std::get<cli::Arguments>(parsed);
  REQUIRE(std::holds_alternative<Command>(arguments.command));
  return std::get<Command>(arguments.command);
}

bool wrong_usage(std::initializer_list<const char*> words) {
  const auto parsed = parse_cli(words);
  const auto* status = std::get_if<tools::ExitStatus>(&parsed);
  return status != nullptr && *status == tools::kWrongUsage;
}

}  // namespace

TEST_CASE("global options stand before or after the command") {
  for (const auto& parsed :
       {parse_cli({"--server", "h:1", "--output", "json", "--timeout", "5", "topic", "list"}),
        parse_cli({"topic", "list", "--server", "h:1", "--output", "json", "--timeout", "5"})}) {
    REQUIRE(std::holds_alternative<cli::Arguments>(parsed));
    const auto& global = std::get<cli::Arguments>(parsed).global;
    CHECK(global.server == "h:1");
    CHECK(global.output == cli::OutputFormat::kJson);
    CHECK(global.timeout_ms == 5);
  }
}

TEST_CASE("the server comes from the flag, else from the environment, else is the default") {
  const auto server = [](std::initializer_list<const char*> words) {
    return std::get<cli::Arguments>(parse_cli(words)).global.server;
  };
  ::unsetenv("ANDYX_SERVER");
  CHECK(server({"node", "status"}) == "127.0.0.1:6540");
  ::setenv("ANDYX_SERVER", "there:9", 1);
  CHECK(server({"node", "status"}) == "there:9");
  CHECK(server({"node", "status", "--server", "here:8"}) == "here:8");
  ::unsetenv("ANDYX_SERVER");
}

TEST_CASE("produce: keys, headers, acknowledgements, compression") {
  const auto plain = command<cli::Produce>({"produce", "t"});
  CHECK(plain.topic == "t");
  CHECK(plain.file == "-");
  CHECK_FALSE(plain.key.has_value());
  CHECK(plain.acks == client::Acks::kMain);

  const auto full =
      command<cli::Produce>({"produce", "--header", "a=b", "--header", "c=d=e", "t", "--file", "f",
                             "--key", "k", "--acks", "quorum", "--compression", "zstd"});
  CHECK(full.topic == "t");
  CHECK(full.headers == std::vector<std::pair<std::string, std::string>>{{"a", "b"}, {"c", "d=e"}});
  CHECK(full.key == "k");
  CHECK(full.acks == client::Acks::kQuorum);
  CHECK(full.compression == client::Compression::kZstd);

  CHECK(command<cli::Produce>({"produce", "t", "--key-separator", "\\t"}).key_separator == "\t");
  CHECK(command<cli::Produce>({"produce", "t", "--key-separator", "::"}).key_separator == "::");
  CHECK(command<cli::Produce>({"produce", "t", "--key", ""}).key == "");
}

TEST_CASE("produce under a name and for later; an instance needs a name") {
  const auto plain = command<cli::Produce>({"produce", "t"});
  CHECK(plain.producer.empty());
  CHECK_FALSE(plain.deliver_at.has_value());
  const auto named =
      command<cli::Produce>({"produce", "t", "--producer", "p", "--instance", "single",
                             "--deliver-at", "2024-02-29T12:30:00Z", "--message-id-header", "id"});
  CHECK(named.message_id_header == "id");
  CHECK(named.producer == "p");
  CHECK(named.instance == client::ProducerInstance::kSingle);
  CHECK(named.deliver_at == 1'709'209'800'000'000);
  CHECK(wrong_usage({"produce", "t", "--instance", "single"}));
  const auto create =
      command<cli::ProducerCreate>({"producer", "create", "t", "p", "--instance", "single"});
  CHECK(create.topic == "t");
  CHECK(create.producer == "p");
  CHECK(create.instance == client::ProducerInstance::kSingle);
  CHECK(command<cli::ProducerList>({"producer", "list", "t"}).topic == "t");
  CHECK(command<cli::ProducerDelete>({"producer", "delete", "t", "p"}).producer == "p");
}

TEST_CASE("read and consume: positions, also those that start with a minus") {
  const auto read = command<cli::Read>({"read", "t", "--partition", "2", "--since", "-1h",
                                        "--count", "7", "--follow", "--print", "key-value"});
  CHECK(read.partition == 2u);
  CHECK(read.since.has_value());
  CHECK(read.count == 7u);
  CHECK(read.follow);
  CHECK(read.print == cli::Print::kKeyValue);

  const auto consume = command<cli::Consume>({"consume", "t", "--subscription", "s"});
  CHECK_FALSE(consume.type.has_value());
  CHECK_FALSE(consume.mode.has_value());
  CHECK_FALSE(consume.from.has_value());
  CHECK(consume.answer == client::AnswerKind::kAcknowledge);

  const auto from = [](const char* text) {
    return *command<cli::Consume>({"consume", "t", "--subscription", "s", "--from", text}).from;
  };
  CHECK(from("earliest").kind == client::Start::Kind::kEarliest);
  CHECK(from("latest").kind == client::Start::Kind::kLatest);
  CHECK(from("offset:42").kind == client::Start::Kind::kOffset);
  CHECK(from("offset:42").value == 42);
  CHECK(from("-30s").kind == client::Start::Kind::kTime);
  CHECK(from("1970-01-01T00:00:01Z").value == 1'000'000);
}

TEST_CASE("several servers are one text: the client takes it apart") {
  const auto parsed = parse_cli({"--server", "a:1,b:2", "topic", "list"});
  REQUIRE(std::holds_alternative<cli::Arguments>(parsed));
  CHECK(std::get<cli::Arguments>(parsed).global.server == "a:1,b:2");
  const auto loaded = parse_bench({"--server", "a:1,b:2", "produce", "t", "--acks", "quorum"});
  REQUIRE(std::holds_alternative<bench::Options>(loaded));
  CHECK(std::get<bench::Options>(loaded).server == "a:1,b:2");
  CHECK(std::get<bench::Options>(loaded).acks == client::Acks::kQuorum);
}

TEST_CASE("subscription and topic commands take their names in order") {
  const auto create = command<cli::SubscriptionCreate>(
      {"subscription", "create", "t", "s", "--mode", "nonresilient", "--from", "earliest"});
  CHECK(create.topic == "t");
  CHECK(create.subscription == "s");
  CHECK(create.mode == client::SubscriptionMode::kNonresilient);
  const auto reset = command<cli::SubscriptionReset>(
      {"subscription", "reset", "t", "s", "--to", "-2d", "--partition", "3"});
  CHECK(reset.to->kind == client::Start::Kind::kTime);
  CHECK(reset.partition == 3u);
  CHECK(command<cli::TopicCreate>({"topic", "create", "t", "--partitions", "4"}).spec.partitions ==
        4);
  const auto copies =
      command<cli::TopicCreate>({"topic", "create", "t", "--replication-factor", "3", "--async"});
  CHECK(copies.spec.replication_factor == 3);
  CHECK(copies.spec.async);
  CHECK_FALSE(command<cli::TopicCreate>({"topic", "create", "t"}).spec.async);
  CHECK(wrong_usage({"topic", "create", "t", "--replication-factor", "8"}));
}

TEST_CASE("consume: who it is, and what becomes of messages that are not answered") {
  const auto plain = command<cli::Consume>({"consume", "t", "--subscription", "s"});
  CHECK(plain.consumer.empty());
  CHECK(plain.priority == 0);
  CHECK(plain.ack_timeout_ms == 0);
  CHECK(plain.max_deliveries == 0);
  CHECK_FALSE(plain.key_ordered);
  CHECK_FALSE(plain.take_over);
  const auto full = command<cli::Consume>(
      {"consume",          "t",          "--subscription", "s",     "--type",        "failover",
       "--consumer",       "me",         "--priority",     "-7",    "--ack-timeout", "500",
       "--max-deliveries", "3",          "--answer",       "unack", "--delay",       "250",
       "--key-ordered",    "--take-over"});
  CHECK(full.type == client::SubscriptionType::kFailover);
  CHECK(full.consumer == "me");
  CHECK(full.priority == -7);
  CHECK(full.ack_timeout_ms == 500);
  CHECK(full.max_deliveries == 3);
  CHECK(full.delay_ms == 250);
  CHECK(full.key_ordered);
  CHECK(full.take_over);
  CHECK(wrong_usage({"consume", "t", "--subscription", "s", "--delay", "250"}));
  CHECK(wrong_usage({"consume", "t", "--subscription", "s", "--priority", "high"}));
  CHECK(wrong_usage({"consume", "t", "--subscription", "s", "--ack-timeout", "0"}));
}

TEST_CASE("subscription describe may be watched") {
  CHECK_FALSE(command<cli::SubscriptionDescribe>({"subscription", "describe", "t", "s"}).watch);
  const auto watch = command<cli::SubscriptionDescribe>(
      {"subscription", "describe", "t", "s", "--watch", "--interval", "200", "--count", "3"});
  CHECK(watch.watch);
  CHECK(watch.interval_ms == 200);
  CHECK(watch.count == 3);
  CHECK(wrong_usage({"subscription", "describe", "t", "s", "--interval", "200"}));
  CHECK(command<cli::SubscriptionCreate>({"subscription", "create", "t", "s", "--key-ordered"})
            .key_ordered);
}

TEST_CASE("wrong usage is status 1, help and version are status 0") {
  CHECK(wrong_usage({}));
  CHECK(wrong_usage({"topic"}));
  CHECK(wrong_usage({"nonsense"}));
  CHECK(wrong_usage({"topic", "create"}));
  CHECK(wrong_usage({"topic", "create", "t", "extra"}));
  CHECK(wrong_usage({"topic", "create", "t", "--partitions", "0"}));
  CHECK(wrong_usage({"topic", "create", "t", "--partitions", "10001"}));
  CHECK(wrong_usage({"topic", "list", "--output", "xml"}));
  CHECK(wrong_usage({"topic", "list", "--timeout", "0"}));
  CHECK(wrong_usage({"produce", "t", "--key", "k", "--key-separator", ":"}));
  CHECK(wrong_usage({"produce", "t", "--key-separator", ""}));
  CHECK(wrong_usage({"produce", "t", "--header", "novalue"}));
  CHECK(wrong_usage({"produce", "t", "--acks", "all"}));
  CHECK(wrong_usage({"read", "t", "--offset", "-1"}));
  CHECK(wrong_usage({"read", "t", "--offset", "1", "--since", "-1h"}));
  CHECK(wrong_usage({"read", "t", "--since", "yesterday"}));
  CHECK(wrong_usage({"consume", "t"}));
  CHECK(wrong_usage({"consume", "t", "--subscription", "s", "--from", "offset:x"}));
  CHECK(wrong_usage({"subscription", "reset", "t", "s"}));
  for (const auto& parsed : {parse_cli({"--help"}), parse_cli({"--version"}),
                             parse_cli({"topic", "create", "--help"}), parse_cli({"read", "-h"})}) {
    REQUIRE(std::holds_alternative<tools::ExitStatus>(parsed));
    CHECK(std::get<tools::ExitStatus>(parsed) == tools::kDone);
  }
}

TEST_CASE("separators may be written with escapes") {
  CHECK(cli::unescape_separator(R"(\t)") == "\t");
  CHECK(cli::unescape_separator(R"(a\x1Fb\\)") ==
        "a\x1F"
        "b\\");
  for (const char* text : {"", "\\", "\\q", "\\x1", "\\xZZ"}) {
    CAPTURE(text);
    CHECK_FALSE(cli::unescape_separator(text).has_value());
  }
}

TEST_CASE("the load generator's defaults are those that its documents state") {
  const auto parsed = parse_bench({"consume", "t"});
  REQUIRE(std::holds_alternative<bench::Options>(parsed));
  const auto& options = std::get<bench::Options>(parsed);
  CHECK(options.command == bench::BenchCommand::kConsume);
  CHECK(options.type == client::SubscriptionType::kUnique);
  CHECK(options.mode == client::SubscriptionMode::kNonresilient);
  CHECK(options.batch_bytes == 64 * 1024);
  CHECK(options.size_bytes == 100);
}

TEST_CASE("the load generator refuses contradictions") {
  const auto refused = [](std::initializer_list<const char*> words) {
    const auto parsed = parse_bench(words);
    const auto* status = std::get_if<tools::ExitStatus>(&parsed);
    return status != nullptr && *status == tools::kWrongUsage;
  };
  CHECK(refused({}));
  CHECK(refused({"produce"}));
  CHECK(refused({"produce", "t", "--messages", "0"}));
  CHECK(refused({"end-to-end", "t", "--size", "15"}));
  CHECK(refused({"consume", "t", "--consumers", "2"}));
  CHECK_FALSE(refused({"consume", "t", "--consumers", "2", "--type", "shared"}));
  CHECK_FALSE(refused({"limit", "--seconds", "0.5", "--json", "-"}));
  CHECK(refused({"idle", "--connections", "0"}));
  CHECK_FALSE(refused({"idle", "--connections", "5", "--seconds", "1"}));
  CHECK_FALSE(refused({"produce", "t", "--messages", "1", "--seconds", "1"}));
}

TEST_CASE("tenants, products and components: as many parts as the level has") {
  const auto create = command<cli::ScopeCreate>({"product", "create", "andyx://t/p"});
  CHECK(create.level == cli::ScopeLevel::kProduct);
  CHECK(create.path == "andyx://t/p");
  CHECK(command<cli::ScopeList>({"component", "list", "t/p"}).parent == "t/p");
  CHECK(command<cli::ScopeList>({"tenant", "list"}).parent.empty());
  CHECK(command<cli::ScopeDelete>({"component", "delete", "t/p/c"}).path == "t/p/c");
  CHECK_FALSE(command<cli::TenantActivate>({"tenant", "deactivate", "t"}).active);
  CHECK(command<cli::TenantActivate>({"tenant", "activate", "t"}).active);
  CHECK(wrong_usage({"tenant", "create", "t/p"}));
  CHECK(wrong_usage({"product", "describe", "t"}));
  CHECK(wrong_usage({"component", "list", "t"}));
  CHECK(wrong_usage({"product", "activate", "t/p"}));
}

TEST_CASE("settings: several --set, values with '=', and empty ones") {
  const auto set = command<cli::SettingsCommand>(
      {"tenant", "settings", "t", "--set", "a=1", "--set", "b=x=y", "--set", "c="});
  CHECK(set.path == "t");
  CHECK(set.set == cli::SettingList{{"a", "1"}, {"b", "x=y"}, {"c", ""}});
  CHECK_FALSE(set.of_topic);
  CHECK(command<cli::SettingsCommand>({"topic", "settings", "x"}).of_topic);
  CHECK(wrong_usage({"tenant", "settings", "t", "--set", "=1"}));
  const auto alter = command<cli::TopicAlter>({"topic", "alter", "x", "--partitions", "4"});
  CHECK(alter.partitions == 4);
  CHECK(command<cli::TopicAlter>({"topic", "alter", "x", "--set", "a=1"}).set.size() == 1);
  CHECK(command<cli::TopicAlter>({"topic", "alter", "x", "--replication-factor", "2"})
            .replication_factor == 2);
  CHECK(wrong_usage({"topic", "alter", "x"}));
}

TEST_CASE("retention: what is not given is not set, and something has to be") {
  const auto set = command<cli::RetentionSet>({"retention", "set", "t/p", "--soft", "5m"});
  CHECK(set.path == "t/p");
  CHECK(set.policy == client::RetentionPolicy{.soft_ms = 300'000});
  CHECK(command<cli::RetentionSet>({"retention", "set", "t", "--hard", "7d", "--size", "1GiB"})
            .policy == client::RetentionPolicy{-1, 604'800'000, 1 << 30});
  CHECK(wrong_usage({"retention", "set", "t"}));
  CHECK(wrong_usage({"retention", "set", "t", "--soft", "5x"}));
}

TEST_CASE("cluster: nodes are ids from 1 on, and what is not given is the cautious choice") {
  command<cli::ClusterStatusCommand>({"cluster", "status"});
  command<cli::ClusterNodes>({"cluster", "nodes"});
  CHECK(command<cli::ClusterRemove>({"cluster", "remove", "3"}).node == 3);
  CHECK(command<cli::ClusterSafeToStop>({"cluster", "safe-to-stop", "2"}).node == 2);
  CHECK(command<cli::ClusterAdd>({"cluster", "add", "2"}).node == 2);
  CHECK_FALSE(command<cli::ClusterDrain>({"cluster", "drain", "2"}).off);
  const auto undrain = command<cli::ClusterDrain>({"cluster", "drain", "2", "--off"});
  CHECK(undrain.node == 2);
  CHECK(undrain.off);
  const auto shown = command<cli::ClusterBalance>({"cluster", "balance"});
  CHECK_FALSE(shown.pause);
  CHECK_FALSE(shown.resume);
  CHECK(command<cli::ClusterBalance>({"cluster", "balance", "--pause"}).pause);
  CHECK(command<cli::ClusterBalance>({"cluster", "balance", "--resume"}).resume);
  for (const char* node : {"0", "-1", "one", ""}) {
    CAPTURE(node);
    CHECK(wrong_usage({"cluster", "remove", node}));
    CHECK(wrong_usage({"cluster", "drain", node}));
    CHECK(wrong_usage({"cluster", "safe-to-stop", node}));
  }
  CHECK(wrong_usage({"cluster"}));
  CHECK(wrong_usage({"cluster", "remove"}));
  CHECK(wrong_usage({"cluster", "balance", "--pause", "--resume"}));
}

TEST_CASE("cluster move and elect: topic, partition, and the node it is about") {
  const auto main = command<cli::ClusterMove>({"cluster", "move", "t", "3", "--to", "2"});
  CHECK(main.topic == "t");
  CHECK(main.partition == 3);
  CHECK(main.to == 2);
  CHECK(main.from == 0);
  CHECK(command<cli::ClusterMove>({"cluster", "move", "t", "0", "--to", "2", "--from", "1"}).from ==
        1);
  const auto elect = command<cli::ClusterElect>({"cluster", "elect", "t", "1", "--to", "3"});
  CHECK(elect.partition == 1);
  CHECK(elect.to == 3);
  CHECK_FALSE(elect.accept_data_loss);
  CHECK(
      command<cli::ClusterElect>({"cluster", "elect", "t", "1", "--to", "3", "--accept-data-loss"})
          .accept_data_loss);
  CHECK(wrong_usage({"cluster", "move", "t", "0"}));
  CHECK(wrong_usage({"cluster", "move", "t", "--to", "2"}));
  CHECK(wrong_usage({"cluster", "move", "t", "-1", "--to", "2"}));
  CHECK(wrong_usage({"cluster", "move", "t", "0", "--to", "0"}));
  CHECK(wrong_usage({"cluster", "elect", "t", "0"}));
}
