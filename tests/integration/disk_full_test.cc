// A disk that fills up under a real server, on a small tmpfs: produce is refused and may be tried
// again, reads and answers go on, and it works again without a restart once there is room. Without
// the right to mount, the same is shown with a bound on free space that nothing can meet.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "protocol/base/limits.h"
#include "tests/integration/support/batch_forge.h"
#include "tests/integration/support/cli.h"
#include "tests/integration/support/raw_connection.h"
#include "tests/integration/support/server_process.h"
#include "tests/integration/support/small_disk.h"
#include "tests/integration/support/topic_reader.h"

namespace andyx::test {
namespace {

using limits::kMiB;

bool accepted(RawConnection& connection, RawConnection::Partition partition, const Bytes& batch) {
  const Received answer = connection.produce(partition, batch);
  if (answer.as<protocol::ProduceReply>() != nullptr) return true;
  require_error(answer, ErrorCode::kDiskFull);
  return false;
}

TEST_CASE("a full disk refuses produce, serves the rest, and recovers by itself") {
  SmallDisk disk("size=400m");
  if (!disk.mounted()) {
    MESSAGE("not shown here, mount says: ", disk.reason());
    return;
  }
  ServerProcess server({.flags = {"--min-free-bytes", "67108864", "--generation-bytes", "4194304"},
                        .environment = {},
                        .data_dir = disk.data_dir()});
  server.start();
  const Cli cli(server);
  RawConnection connection(server.port());
  connection.hello();
  const RawConnection::Partition partition{.topic_id = connection.create_topic("t"), .index = 0};
  const Bytes batch = good_batch(10, 1'000);
  Offset stored = 0;
  for (; stored < 1'000; stored += 10) REQUIRE(accepted(connection, partition, batch));

  disk.leave_free(52 * kMiB);  // under what must stay free, and over the half kept for answers
  CHECK(wait_until([&] {
    const bool taken = accepted(connection, partition, batch);
    if (taken) stored += 10;
    return !taken;
  }));
  // What is there is served, and answers to it are kept.
  CHECK(read_partition(connection, partition, 0, [](const batch::Record&) {}) == stored);
  cli.ok({"consume", "t", "--subscription", "s", "--mode", "nonresilient", "--from", "earliest",
          "--count", "500"});
  CHECK(describe_cursors(connection, "default/default/default/t", "s").at(0).floor == 500);
  CHECK(cli.json({"node", "status"}).at("storage")[0].at("state") != "serving");
  int attempts = 0;
  // A client that tries again until its time is up says why.
  const auto refused = [&](std::vector<std::string> arguments) {
    const CommandResult result = cli.run(std::move(arguments), "more\n");
    INFO("stderr: ", result.err);
    CHECK((result.exit_code == kRefused || result.exit_code == kTimedOut));
    CHECK(result.err.find("disk_full") != std::string::npos);
  };
  refused({"--timeout", "1500", "produce", "t"});
  // With the last reserve gone nothing is written; what needs to be is refused, and reads go on.
  disk.leave_free(16 * kMiB);
  CHECK(wait_until([&] {
    const CommandResult result = cli.run(
        {"--timeout", "1500", "subscription", "create", "t", "late" + std::to_string(attempts++)});
    return result.exit_code != kDone && result.err.find("disk_full") != std::string::npos;
  }));
  refused({"--timeout", "1500", "consume", "t", "--subscription", "later", "--from", "earliest"});
  CHECK(cli.ok({"read", "t", "--count", "1"}).size() == 1'001);

  const Offset before = connection.committed_offset(partition);
  CHECK(before == stored);

  disk.release();
  CHECK(wait_until([&] { return accepted(connection, partition, batch); }));
  CHECK(connection.committed_offset(partition) == before + 10);
  CHECK(wait_until(
      [&] { return cli.json({"node", "status"}).at("storage")[0].at("state") == "serving"; }));
  // Nothing of it hangs on this process.
  server.kill_now();
  server.start();
  RawConnection again(server.port());
  again.hello();
  CHECK(again.committed_offset(partition) == before + 10);
}

TEST_CASE("a node with a full disk leads nothing and is waited for no more, until there is room") {
  SmallDisk disk("size=400m");
  if (!disk.mounted()) {
    MESSAGE("not shown here, mount says: ", disk.reason());
    return;
  }
  std::vector<std::unique_ptr<ServerProcess>> nodes;
  for (int id = 1; id <= 3; ++id) {
    std::vector<std::string> flags = {"--node-id", std::to_string(id),   "--min-free-bytes",
                                      "67108864",  "--generation-bytes", "4194304"};
    if (id > 1) flags.insert(flags.end(), {"--join", nodes.front()->address()});
    nodes.push_back(std::make_unique<ServerProcess>(
        ServerOptions{.flags = std::move(flags),
                      .environment = {},
                      .data_dir = id == 3 ? disk.data_dir() : std::string()}));
    nodes.back()->start();
  }
  const Cli cli(*nodes.front());
  REQUIRE(wait_until([&] {
    const auto created =
        cli.run({"topic", "create", "t", "--partitions", "6", "--replication-factor", "3"});
    return created.exit_code == kDone || created.err.find("exists") != std::string::npos;
  }));
  const auto count = [&](const auto& holds) {
    int counted = 0;
    const Json topic = cli.json({"topic", "describe", "t"});
    for (const Json& p : topic.at("partitions")) counted += holds(p);
    return counted;
  };
  const auto led_by_it = [&] { return count([](const Json& p) { return p.at("main") == 3; }); };
  const auto whole = [&] {
    return count([](const Json& p) { return p.at("in_sync").size() == 3; }) == 6;
  };
  REQUIRE(wait_until([&] { return led_by_it() > 0 && whole(); }));

  disk.leave_free(52 * kMiB);
  CHECK(wait_until([&] { return led_by_it() == 0; }));
  // It refuses what it should store, and leaves the sets that wait for that.
  cli.ok({"produce", "t", "--acks", "quorum"}, "a\nb\nc\nd\ne\nf\n");
  CHECK(count([](const Json& p) { return p.at("in_sync").size() == 2; }) > 0);

  disk.release();
  CHECK(wait_until([&] { return whole() && led_by_it() > 0; }));
}

TEST_CASE("a server without the room that must stay free says so") {
  ServerProcess server({.flags = {"--min-free-bytes", "4611686018427387904"}});
  server.launch();
  REQUIRE(wait_until([&] { return server.ready() || !server.running(); }));
  if (!server.ready()) {
    check_error_text(server.log(), ErrorCode::kDiskFull);
    return;
  }
  RawConnection connection(server.port());
  connection.hello();
  const RawConnection::Partition partition{.topic_id = connection.create_topic("t"), .index = 0};
  require_error(connection.produce(partition, good_batch(1)), ErrorCode::kDiskFull);
  connection.ping();
}

}  // namespace
}  // namespace andyx::test
