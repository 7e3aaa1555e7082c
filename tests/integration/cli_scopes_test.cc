// andyx-cli: tenants, products, components, settings, retention, and topics that grow.
#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "andyx/client.h"
#include "tests/integration/support/cli.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

// {value, origin}
std::pair<std::string, std::string> setting(const Json& shown, const std::string& key) {
  for (const Json& one : shown.at("settings")) {
    if (one.at("key") == key) return {one.at("value"), one.at("origin")};
  }
  FAIL("no setting ", key);
  return {};
}

using Value = std::pair<std::string, std::string>;

TEST_CASE("a tree of tenant, product and component: created, listed, described, deleted") {
  const Cli cli(shared_server());
  cli.refused(ErrorCode::kUnknownScope, {"product", "create", "tree/p"});
  const Json tenant = cli.json({"tenant", "create", "tree", "--description", "for \"this\" test"});
  CHECK(tenant.at("path") == "tree");
  CHECK(tenant.at("description") == "for \"this\" test");
  CHECK(tenant.at("active") == true);
  cli.refused(ErrorCode::kScopeExists, {"tenant", "create", "tree"});
  cli.ok({"product", "create", "andyx://tree/p"});
  cli.ok({"component", "create", "tree/p/c"});
  cli.ok({"component", "create", "tree/p/d"});
  cli.ok({"topic", "create", "tree/p/c/x"});

  std::set<std::string> tenants, components;
  const Json all = cli.json({"tenant", "list"});
  for (const Json& one : all.at("tenants")) tenants.insert(one.at("path"));
  CHECK(tenants.contains("tree"));
  const Json listed = cli.json({"component", "list", "tree/p"});
  for (const Json& one : listed.at("components")) components.insert(one.at("path"));
  CHECK(components == std::set<std::string>{"tree/p/c", "tree/p/d"});
  CHECK(cli.json({"product", "list", "tree"}).at("products")[0].at("children") == 2);
  CHECK(cli.json({"component", "describe", "tree/p/c"}).at("children") == 1);
  CHECK(cli.ok({"tenant", "list"}).find("tree") != std::string::npos);
  CHECK(cli.ok({"product", "describe", "tree/p"}).find("default-partitions") != std::string::npos);
  cli.refused(ErrorCode::kUnknownScope, {"product", "list", "nobody"});
  cli.refused(ErrorCode::kUnknownScope, {"component", "describe", "tree/p/e"});
  cli.refused(ErrorCode::kBadName, {"tenant", "create", ".hidden"});

  for (const auto& [level, path] : {std::pair{"tenant", "tree"}, std::pair{"product", "tree/p"},
                                    std::pair{"component", "tree/p/c"}}) {
    cli.refused(ErrorCode::kNotEmpty, {level, "delete", path});
  }
  cli.ok({"topic", "delete", "tree/p/c/x"});
  cli.ok({"component", "delete", "tree/p/c"});
  cli.ok({"component", "delete", "tree/p/d"});
  cli.ok({"product", "delete", "tree/p"});
  CHECK(cli.json({"tenant", "delete", "tree"}).at("deleted") == "tree");
  cli.refused(ErrorCode::kUnknownScope, {"tenant", "describe", "tree"});
}

TEST_CASE("producing makes every level, unless one says no") {
  const Cli cli(shared_server());
  cli.ok({"produce", "auto/p/c/x"}, "one\n");
  CHECK(cli.json({"component", "describe", "auto/p/c"}).at("children") == 1);
  cli.ok({"tenant", "settings", "auto", "--set", "component-auto-create=false"});
  cli.refused(ErrorCode::kCreationNotAllowed, {"produce", "auto/p/other/x"}, "x\n");
  cli.refused(ErrorCode::kUnknownScope, {"component", "describe", "auto/p/other"});
  cli.ok({"component", "create", "auto/p/other"});
  cli.ok({"produce", "auto/p/other/x"}, "x\n");
  cli.ok({"component", "settings", "auto/p/c", "--set",
          "IsTopicAutomaticCreationAllowed=False"});  // as the reference names it
  cli.refused(ErrorCode::kCreationNotAllowed, {"produce", "auto/p/c/y"}, "x\n");
  cli.ok({"produce", "auto/p/c/x"}, "two\n");  // it is there
  cli.ok({"topic", "create", "auto/p/c/y"});
  cli.ok({"produce", "auto/p/c/y"}, "x\n");
}

TEST_CASE("the nearest level's setting is in force, and says where it comes from") {
  const Cli cli(shared_server());
  cli.ok({"tenant", "create", "near"});
  cli.ok({"tenant", "settings", "near", "--set", "default-partitions=3", "--set",
          "max-message-bytes=1000"});
  cli.ok({"produce", "near/p/c/x"}, "x\n");
  CHECK(cli.json({"topic", "describe", "near/p/c/x"}).at("partition_count") == 3);
  const Json topic = cli.json({"topic", "settings", "near/p/c/x"});
  CHECK(setting(topic, "max-message-bytes") == Value{"1000", "near"});
  CHECK(setting(topic, "dedup-window-ms") == Value{"0", ""});
  const std::string large(2'000, 'x');
  cli.refused(ErrorCode::kMessageTooLarge, {"produce", "near/p/c/x"}, large + "\n");
  const Json set = cli.json({"topic", "settings", "near/p/c/x", "--set", "max-message-bytes=5000"});
  CHECK(setting(set, "max-message-bytes") == Value{"5000", "near/p/c/x"});
  cli.ok({"produce", "near/p/c/x"}, large + "\n");
  cli.ok({"topic", "alter", "near/p/c/x", "--set", "max-message-bytes="});
  CHECK(setting(cli.json({"topic", "settings", "near/p/c/x"}), "max-message-bytes") ==
        Value{"1000", "near"});
  cli.refused(ErrorCode::kMessageTooLarge, {"produce", "near/p/c/x"}, large + "\n");
}

TEST_CASE("wrong settings are refused with what is possible, and nothing of them is set") {
  const Cli cli(shared_server());
  cli.ok({"tenant", "create", "wrong"});
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"nonsense=1", "product-auto-create"},
      {"default-partitions=0", "from 1 to 10000"},
      {"topic-auto-create=perhaps", "true or false"},
      {"encryption=true", "this version"},
      {"max-message-bytes=99999999", "at most 8388608"}};
  for (const auto& [bad, says] : wrong) {
    const CommandResult result =
        cli.run({"tenant", "settings", "wrong", "--set", "dedup-window-ms=7", "--set", bad});
    INFO("set: ", bad, " said: ", result.err);
    CHECK(result.exit_code == kRefused);
    check_error_text(result.err, ErrorCode::kBadArgument);
    CHECK(result.err.find(says) != std::string::npos);
  }
  CHECK(setting(cli.json({"tenant", "settings", "wrong"}), "dedup-window-ms") == Value{"0", ""});
  cli.refused(ErrorCode::kUnknownScope, {"product", "settings", "wrong/p"});
  cli.refused(ErrorCode::kUnknownTopic, {"topic", "settings", "wrong/p/c/x"});
  cli.refused(ErrorCode::kBadName, {"topic", "settings", "wrong/p"});

  ServerProcess small({.flags = {"--max-message-bytes", "1000"}});
  small.start();
  Cli(small).ok({"tenant", "create", "t"});
  Cli(small).refused(ErrorCode::kBadArgument,
                     {"tenant", "settings", "t", "--set", "max-message-bytes=1001"});
  CHECK(setting(Cli(small).json({"tenant", "settings", "t"}), "max-message-bytes") ==
        Value{"1000", ""});
}

TEST_CASE("retention: the nearest policy, as a whole") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "ret/p/c/x"});
  CHECK(cli.json({"retention", "show", "ret/p/c/x"}).at("retention").is_null());
  const Json set =
      cli.json({"retention", "set", "ret", "--soft", "12h", "--hard", "7d", "--size", "10GB"});
  CHECK(set.at("retention").at("soft_ms") == 43'200'000);
  CHECK(set.at("retention").at("hard_ms") == 604'800'000);
  CHECK(set.at("retention").at("size_bytes") == 10'000'000'000);
  CHECK(cli.json({"retention", "show", "ret/p/c/x"}).at("retention_origin") == "ret");
  cli.ok({"retention", "set", "ret/p/c", "--hard", "5m"});
  const Json nearest = cli.json({"retention", "show", "ret/p/c/x"});
  CHECK(nearest.at("retention_origin") == "ret/p/c");
  CHECK(nearest.at("retention").at("hard_ms") == 300'000);
  CHECK(nearest.at("retention").at("soft_ms").is_null());
  CHECK(cli.ok({"retention", "show", "ret/p/c/x"}).find("from ret/p/c") != std::string::npos);
  cli.refused(ErrorCode::kBadArgument,
              {"retention", "set", "ret/p/c/x", "--soft", "8d", "--hard", "7d"});
  cli.refused(ErrorCode::kBadArgument, {"retention", "set", "ret/p/c/x", "--soft", "0"});
  cli.refused(ErrorCode::kUnknownScope, {"retention", "set", "nobody", "--soft", "1h"});
  CHECK(cli.json({"retention", "delete", "ret/p/c"}).at("retention_origin") == "ret");
  CHECK(cli.json({"retention", "delete", "ret"}).at("retention").is_null());
}

TEST_CASE("a deactivated tenant: no producing, no consuming, no new topics; the data stays") {
  const Cli cli(shared_server());
  cli.ok({"produce", "off/p/c/x"}, "one\n");
  const auto consumer = cli.start(
      {"consume", "off/p/c/x", "--subscription", "s", "--from", "earliest", "--answer", "unack"});
  const auto attached = [&] {
    const Json shown = cli.json({"subscription", "list", "off/p/c/x"});
    if (shown.at("subscriptions").empty()) return false;
    const Json described = cli.json({"subscription", "describe", "off/p/c/x", "s"});
    return !described.at("partitions")[0].at("consumer").get<std::string>().empty();
  };
  REQUIRE(wait_until(attached));
  cli.ok({"tenant", "deactivate", "off"});
  const auto ended = consumer->wait();  // the consumer that was attached
  REQUIRE(ended);
  CHECK(*ended == kRefused);
  CHECK_FALSE(attached());
  CHECK(cli.json({"tenant", "describe", "off"}).at("active") == false);
  cli.refused(ErrorCode::kTenantInactive, {"produce", "off/p/c/x"}, "two\n");
  cli.refused(ErrorCode::kTenantInactive, {"produce", "off/p/c/y"}, "two\n");
  cli.refused(ErrorCode::kTenantInactive, {"topic", "create", "off/p/c/y"});
  cli.refused(ErrorCode::kTenantInactive,
              {"consume", "off/p/c/x", "--subscription", "s", "--idle-exit", "100"});
  CHECK(cli.ok({"read", "off/p/c/x"}) == "one\n");

  cli.ok({"tenant", "activate", "off"});
  cli.ok({"produce", "off/p/c/x"}, "two\n");
  CHECK(cli.ok({"consume", "off/p/c/x", "--subscription", "s", "--count", "2"}) == "one\ntwo\n");
  cli.refused(ErrorCode::kUnknownScope, {"tenant", "deactivate", "nobody"});
}

TEST_CASE("subscriptions come by themselves, unless the component says no") {
  const Cli cli(shared_server());
  cli.ok({"produce", "subs/p/c/x"}, "one\n");
  cli.ok({"component", "settings", "subs/p/c", "--set", "subscription-auto-create=false"});
  cli.refused(ErrorCode::kCreationNotAllowed,
              {"consume", "subs/p/c/x", "--subscription", "s", "--idle-exit", "100"});
  cli.ok({"subscription", "create", "subs/p/c/x", "s", "--from", "earliest"});
  CHECK(cli.ok({"consume", "subs/p/c/x", "--subscription", "s", "--count", "1"}) == "one\n");
}

TEST_CASE("a topic gets more partitions, and subscriptions get all of what is in them") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"topic", "create", "grow"});
  cli.ok({"produce", "grow"}, "old\n");
  cli.ok({"subscription", "create", "grow", "late", "--from", "latest"});
  const Json grown = cli.json({"topic", "alter", "grow", "--partitions", "4"});
  CHECK(grown.at("partition_count") == 4);
  cli.refused(ErrorCode::kBadArgument, {"topic", "alter", "grow", "--partitions", "3"});
  cli.ok({"topic", "alter", "grow", "--partitions", "4"});  // it has them
  cli.refused(ErrorCode::kUnknownTopic, {"topic", "alter", "nobody", "--partitions", "3"});
  std::string lines;
  for (int i = 0; i < 8; ++i) lines += "m" + std::to_string(i) + "\n";
  cli.ok({"produce", "grow"}, lines);
  const Json described = cli.json({"topic", "describe", "grow"});
  for (const Json& partition : described.at("partitions")) {
    INFO("partition ", partition.at("partition").get<int>());
    CHECK(partition.at("committed_offset") >= 1);
  }
  SUBCASE("at once") {}
  SUBCASE("after a kill") {
    server.kill_now();
    server.start();
  }
  // "latest" was the end of the old partition; of the new ones nothing is left out.
  const Json before = cli.json({"subscription", "describe", "grow", "late"});
  REQUIRE(before.at("partitions").size() == 4);
  CHECK(before.at("lag_messages") == 8);
  const std::string got = cli.ok({"consume", "grow", "--subscription", "late", "--count", "8"});
  for (int i = 0; i < 8; ++i) {
    CHECK(got.find("m" + std::to_string(i) + "\n") != std::string::npos);
  }
  CHECK(cli.json({"subscription", "describe", "grow", "late"}).at("lag_messages") == 0);
}

TEST_CASE("producers that come while a topic grows lose nothing, over every partition") {
  constexpr std::uint32_t kPartitions = 40;
  ServerProcess server({.flags = {"--cores", "4"}});
  server.start();
  auto growing = client::Client::connect({.servers = {server.address()}});
  auto producing = client::Client::connect({.servers = {server.address()}});
  REQUIRE(growing);
  REQUIRE(producing);
  REQUIRE(growing->admin().create_topic("growing"));
  std::atomic<bool> grown = false;
  std::thread grower([&] {
    for (std::uint32_t partitions = 2; partitions <= kPartitions; ++partitions) {
      CHECK(growing->admin().alter_topic("growing", partitions));
    }
    grown = true;
  });
  std::uint64_t sent = 0;
  for (bool last = false; !last;) {
    last = grown;
    auto producer = producing->producer({.topic = "growing", .linger_ms = 0});
    CHECK(producer);
    if (!producer) break;
    for (std::uint32_t i = 0; i < producer->partitions(); ++i, ++sent) {
      CHECK(producer->send({.payload = "message", .partition = i}));
    }
    CHECK(producer->close());
  }
  grower.join();
  const auto topic = producing->admin().describe_topic("growing");
  REQUIRE(topic);
  REQUIRE(topic->partitions.size() == kPartitions);
  std::uint64_t stored = 0;
  for (const auto& partition : topic->partitions) {
    CHECK(partition.committed_offset > 0);
    stored += partition.committed_offset;
  }
  CHECK(stored == sent);
}

TEST_CASE("a unique subscription stays unique while its topic grows") {
  const Cli cli(shared_server());
  cli.ok({"topic", "create", "unique-grow"});
  cli.ok({"subscription", "create", "unique-grow", "s"});
  const auto consumer =
      cli.start({"consume", "unique-grow", "--subscription", "s", "--print", "json"});
  const auto attached = [&] {
    const Json described = cli.json({"subscription", "describe", "unique-grow", "s"});
    return !described.at("partitions")[0].at("consumer").get<std::string>().empty();
  };
  REQUIRE(wait_until(attached));
  for (int partitions = 2; partitions <= 9; ++partitions) {
    cli.ok({"topic", "alter", "unique-grow", "--partitions", std::to_string(partitions)});
    CHECK(attached());
    cli.refused(ErrorCode::kSubscriptionBusy,
                {"consume", "unique-grow", "--subscription", "s", "--idle-exit", "100"});
  }
}

TEST_CASE("scopes, settings, retention and activation survive a stop and a kill") {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"tenant", "create", "kept", "--description", "stays"});
  cli.ok({"topic", "create", "kept/p/c/x"});
  cli.ok({"product", "settings", "kept/p", "--set", "dedup-window-ms=9"});
  cli.ok({"retention", "set", "kept/p/c/x", "--soft", "1h"});
  cli.ok({"tenant", "deactivate", "kept"});
  const std::vector<std::vector<std::string>> shown = {{"tenant", "describe", "kept"},
                                                       {"component", "describe", "kept/p/c"},
                                                       {"topic", "settings", "kept/p/c/x"},
                                                       {"retention", "show", "kept/p/c/x"}};
  std::vector<Json> before;
  for (const auto& command : shown) before.push_back(cli.json(command));
  SUBCASE("SIGTERM") { REQUIRE(server.terminate().value_or(-1) == 0); }
  SUBCASE("SIGKILL") { server.kill_now(); }
  server.start();
  for (std::size_t i = 0; i < shown.size(); ++i) CHECK(cli.json(shown[i]) == before[i]);
  cli.refused(ErrorCode::kTenantInactive, {"produce", "kept/p/c/x"}, "x\n");
}

}  // namespace
}  // namespace andyx::test
