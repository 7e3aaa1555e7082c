// A node whose image of the metadata is not that of the others, in a cluster of real processes.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/support/cli.h"
#include "tests/integration/support/divert_image.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

constexpr const char* kAstray = "has other metadata than the cluster";

class Cluster {
 public:
  Cluster() {
    for (NodeId id = 1; id <= 3; ++id) {
      std::vector<std::string> flags{"--node-id", std::to_string(id)};
      if (id > 1) flags.insert(flags.end(), {"--join", nodes_.front()->address()});
      nodes_.push_back(std::make_unique<ServerProcess>(
          ServerOptions{.flags = std::move(flags), .environment = {}, .data_dir = {}}));
      nodes_.back()->start();
    }
  }
  ServerProcess& node(NodeId id) { return *nodes_.at(id - 1); }

 private:
  std::vector<std::unique_ptr<ServerProcess>> nodes_;
};

struct Fixture {
  Cluster cluster;
  Cli cli{cluster.node(1)};

  Fixture() {
    cli.ok({"topic", "create", "t", "--partitions", "6", "--replication-factor", "3"});
    cli.ok({"produce", "t"}, "one\ntwo\n");
    REQUIRE(wait_until([&] {
      return std::ranges::all_of(partitions(),
                                 [](const Json& p) { return p.at("in_sync").size() == 3; }) &&
             status().at("voters") == Json{1, 2, 3} && mains_of(3) > 0;
    }));
  }
  Json status() const { return cli.json({"cluster", "status"}); }
  Json partitions() const { return cli.json({"topic", "describe", "t"}).at("partitions"); }
  std::ptrdiff_t mains_of(NodeId node) const {
    const Json all = partitions();
    return std::ranges::count_if(all, [&](const Json& p) { return p.at("main") == node; });
  }
  std::string note_of(NodeId node) const {
    const Json nodes = status().at("nodes");
    const auto found =
        std::ranges::find_if(nodes, [&](const Json& n) { return n.at("node_id") == node; });
    REQUIRE(found != nodes.end());
    return found->at("note");
  }
  // It is told while it starts, and ends, or a moment later, and goes on without leading: both say
  // why, and so does the cluster.
  void start_astray(NodeId node) {
    ServerProcess& server = cluster.node(node);
    server.launch();
    const auto told = [&] { return server.log().find(kAstray) != std::string::npos; };
    REQUIRE(wait_until([&] { return told() && (server.ready() || !server.running()); }));
    if (!server.running()) CHECK(server.process().wait().value_or(0) == 1);
    CHECK(wait_until([&] { return note_of(node).find(kAstray) != std::string::npos; }));
    CHECK(wait_until([&] { return mains_of(node) == 0; }));
    CHECK(status().at("status") == "partially-online");
    CHECK(status().at("controller") != node);
  }
};

TEST_CASE_FIXTURE(Fixture,
                  "a node that comes back with another image is named, and leads nothing") {
  const NodeId controller = status().at("controller").get<NodeId>();
  const NodeId odd = controller == 3 ? 2 : 3;
  cluster.node(odd).kill_now();
  const Status diverted = divert_image(cluster.node(odd).data_dir(), odd);
  REQUIRE_MESSAGE(diverted.has_value(), diverted.error().message);
  start_astray(odd);
  for (const NodeId other : {1u, 2u, 3u}) {
    if (other != odd) CHECK(note_of(other).empty());
  }
  // Not even where it is asked to.
  cli.run({"cluster", "elect", "t", "0", "--to", std::to_string(odd)});
  CHECK(wait_until([&] { return mains_of(odd) == 0; }));
  // The others go on.
  cli.ok({"topic", "create", "later"});
  cli.ok({"produce", "t"}, "three\n");
  CHECK(split_lines(cli.ok({"read", "t"})).size() == 3);

  // It is not healed by a start: what it would heal from is what may be wrong.
  if (cluster.node(odd).running()) cluster.node(odd).kill_now();
  start_astray(odd);
}

}  // namespace
}  // namespace andyx::test
