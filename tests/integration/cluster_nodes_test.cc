// What nodes ask of each other, against a real server in this process.
#include <doctest/doctest.h>

#include <future>
#include <thread>

#include "server/cluster/membership.h"
#include "server/cluster/node_links.h"
#include "server/cluster/remote_metadata_log.h"
#include "server/metadata/apply.h"
#include "server/metadata/wish.h"
#include "tests/integration/support/local_server.h"
#include "tests/integration/support/temp_dir.h"

namespace andyx::test {
namespace {

using namespace server;

struct Fixture {
  TempDir directory;
  std::unique_ptr<Server> node = start_local_server(directory.path()).value();
  std::string cluster_id;

  Fixture() {
    RawConnection connection(node->address().port);
    cluster_id = hello(connection, 0, 0).as<protocol::HelloReply>()->cluster_id()->str();
  }
  static Received hello(RawConnection& connection, NodeId id, std::uint64_t incarnation,
                        const std::string& cluster = {}) {
    return connection.request<protocol::Hello>([&](Builder& b) {
      return protocol::CreateHelloDirect(b, 1, 1, "test-node", "0", cluster.c_str(), nullptr,
                                         nullptr, id, incarnation);
    });
  }
  JoinRequest request(NodeId id, Uuid disk, std::uint64_t incarnation) const {
    return {.node = {.node_id = id,
                     .disk_id = disk,
                     .incarnation = incarnation,
                     .host = "127.0.0.1",
                     .port = 9},
            .cluster_id = {},
            .addresses = {node->address()}};
  }
};

Result<Joined> join(const JoinRequest& request) {
  const std::atomic<bool> cancelled{false};
  return join_cluster(request, cancelled);
}

TEST_CASE_FIXTURE(Fixture, "what only nodes send is refused where a client sends it") {
  RawConnection connection = open_local(*node);
  require_error(connection.request<protocol::MetadataPull>(
                    [](Builder& b) { return protocol::CreateMetadataPull(b, 0, 100); }),
                ErrorCode::kUnauthorized);
  require_error(connection.request<protocol::MetadataSnapshotPull>(
                    [](Builder& b) { return protocol::CreateMetadataSnapshotPull(b, 0, 0, 100); }),
                ErrorCode::kUnauthorized);
  require_error(connection.request<protocol::NodeHeartbeat>(
                    [](Builder& b) { return protocol::CreateNodeHeartbeat(b, 2, 1); }),
                ErrorCode::kUnauthorized);
  require_error(connection.request<protocol::NodeJoin>([](Builder& b) {
    return protocol::CreateNodeJoinDirect(b, 2, Uuid{1, 1}.text().c_str(), 1, "h", 1);
  }),
                ErrorCode::kUnauthorized);
  connection.ping();
}

TEST_CASE_FIXTURE(Fixture, "the hello of a node that cannot be the one it says is refused") {
  REQUIRE(join(request(2, {5, 5}, 10)).has_value());
  RawConnection connection(node->address().port);
  SUBCASE("our own id") { require_error(hello(connection, 1, 1), ErrorCode::kNodeConflict); }
  SUBCASE("it has ended") { require_error(hello(connection, 2, 9), ErrorCode::kNodeConflict); }
  SUBCASE("another cluster") {
    require_error(hello(connection, 2, 10, Uuid{1, 2}.text()), ErrorCode::kWrongCluster);
  }
  CHECK(connection.wait_closed());
  RawConnection good(node->address().port);
  CHECK(hello(good, 2, 10, cluster_id).as<protocol::HelloReply>() != nullptr);
  RawConnection newer(node->address().port);
  CHECK(hello(newer, 2, 11, cluster_id).as<protocol::HelloReply>() != nullptr);
}

TEST_CASE_FIXTURE(Fixture,
                  "a node speaks for itself only, and has no session before it has joined") {
  RawConnection connection(node->address().port);
  hello(connection, 2, 10);
  require_error(connection.request<protocol::NodeHeartbeat>(
                    [](Builder& b) { return protocol::CreateNodeHeartbeat(b, 3, 10); }),
                ErrorCode::kBadArgument);
  require_error(connection.request<protocol::NodeJoin>([](Builder& b) {
    return protocol::CreateNodeJoinDirect(b, 3, Uuid{1, 1}.text().c_str(), 10, "h", 1);
  }),
                ErrorCode::kBadArgument);
  require_error(connection.request<protocol::NodeJoin>([](Builder& b) {
    return protocol::CreateNodeJoinDirect(b, 2, "no id", 10, "h", 1);
  }),
                ErrorCode::kBadArgument);
  require_error(connection.request<protocol::NodeHeartbeat>(
                    [](Builder& b) { return protocol::CreateNodeHeartbeat(b, 2, 10); }),
                ErrorCode::kUnknownNode);
}

TEST_CASE_FIXTURE(Fixture,
                  "a heartbeat tells of 32 partitions in a list of its load, and no more") {
  REQUIRE(join(request(2, {5, 5}, 10)).has_value());
  RawConnection connection(node->address().port);
  hello(connection, 2, 10, cluster_id);
  const auto beat = [&](std::size_t busiest, std::size_t largest) {
    return connection.request<protocol::NodeHeartbeat>([&](Builder& b) {
      const auto list = [&b](std::size_t size) {
        return b.CreateVectorOfStructs(std::vector<protocol::PartitionShare>(size));
      };
      const auto first = list(busiest), second = list(largest);
      const auto load = protocol::CreateMeasuredLoad(b, 1, 2, 3, first, second);
      protocol::NodeHeartbeatBuilder body(b);
      body.add_node_id(2);
      body.add_incarnation(10);
      body.add_load(load);
      return body.Finish();
    });
  };
  CHECK(beat(32, 32).as<protocol::NodeHeartbeatReply>() != nullptr);
  require_error(beat(33, 0), ErrorCode::kBadArgument);
  require_error(beat(0, 33), ErrorCode::kBadArgument);
}

TEST_CASE_FIXTURE(Fixture, "a node is taken in, again and again; not under a taken id") {
  const auto first = join(request(2, {5, 5}, 10));
  REQUIRE_MESSAGE(first.has_value(), first.error().message);
  CHECK(first->cluster_id.text() == cluster_id);
  auto again = request(2, {5, 5}, 11);
  again.cluster_id = first->cluster_id;
  const auto second = join(again);
  REQUIRE(second.has_value());
  CHECK(second->version > first->version);
  const auto taken = join(request(2, {6, 6}, 12));
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().code == ErrorCode::kNodeConflict);
  CHECK(taken.error().message.find(Uuid{5, 5}.text()) != std::string::npos);
  auto foreign = request(3, {7, 7}, 1);
  foreign.cluster_id = {8, 8};
  const auto refused = join(foreign);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kWrongCluster);
  CHECK(refused.error().message.find(cluster_id) != std::string::npos);
  CHECK(refused.error().message.find(foreign.cluster_id.text()) != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "the metadata is followed from the server's own log") {
  auto loop = net::Loop::create().value();
  std::thread thread([&] { loop->run(); });
  std::unique_ptr<NodeLinks> links;
  std::shared_ptr<MetadataPeers> peers;
  std::unique_ptr<RemoteMetadataLog> log;
  std::promise<void> made;
  loop->post([&] {
    links = NodeLinks::create(*loop, {.self = 9, .incarnation = 1});
    peers = MetadataPeers::create(*links, 9, {node->address()});
    log = std::make_unique<RemoteMetadataLog>(*loop, peers);
    made.set_value();
  });
  made.get_future().get();
  std::atomic<Position> hinted{0};
  log->watch([&](Position tail) { hinted = tail; });

  auto image = std::make_shared<const Image>();
  const auto follow = [&] {
    for (;;) {
      std::promise<Result<std::vector<LogEntry>>> read;
      log->read(image->position, 1 << 16, [&](auto r) { read.set_value(std::move(r)); });
      auto entries = read.get_future().get();
      REQUIRE_MESSAGE(entries.has_value(), entries.error().message);
      if (entries->empty()) return;
      for (const auto& entry : *entries) {
        auto applied = apply_entry(*image, entry.bytes);
        REQUIRE_MESSAGE(applied.has_value(), applied.error().message);
        image = std::move(applied->image);
      }
    }
  };
  follow();
  CHECK(image->cluster_id.text() == cluster_id);
  REQUIRE(image->find_node(1) != nullptr);
  RawConnection connection = open_local(*node);
  connection.create_topic("followed", 3);
  CHECK(wait_until([&] { return hinted.load() > image->position; }));
  follow();
  CHECK(image->topics.size() == 1);
  CHECK(image->partition_count == 3);

  std::promise<void> ended;
  loop->post([&] {
    peers->close();
    links.reset();
    ended.set_value();
  });
  ended.get_future().get();
  loop->stop();
  thread.join();
  log.reset();
}

TEST_CASE_FIXTURE(Fixture, "a node whose image differs is told, and operators see it") {
  REQUIRE(join(request(2, {5, 5}, 10)).has_value());
  RawConnection connection(node->address().port);
  hello(connection, 2, 10);
  RawConnection client = open_local(*node);
  const auto cluster = [&] {
    return client.request<protocol::ClusterStatus>(
        [](Builder& b) { return protocol::CreateClusterStatus(b); });
  };
  const auto beat = [&](std::uint64_t version, std::uint64_t hash) {
    const auto kept = connection.request<protocol::NodeHeartbeat>(
        [&](Builder& b) { return protocol::CreateNodeHeartbeat(b, 2, 10, version, hash); });
    const auto* reply = kept.as<protocol::NodeHeartbeatReply>();
    REQUIRE(reply != nullptr);
    return std::pair{reply->version(), reply->astray()->str()};
  };
  const auto before = beat(0, 0);  // of a position that nobody remembers
  CHECK(before.second.empty());
  // Nobody is judged before it is certain who is the odd one out: the server has to compare itself
  // first.
  auto told = before;
  CHECK(wait_until([&] {
    told = beat(told.first, 0x1234);
    return !told.second.empty();
  }));
  CHECK(told.second.find("0000000000001234") != std::string::npos);
  const auto answer = cluster();
  const auto* status = answer.as<protocol::ClusterStatusReply>();
  REQUIRE(status != nullptr);
  CHECK(status->status()->str() == "partially-online");
  CHECK(status->note()->str().find("node 2 " + told.second) != std::string::npos);
  const auto* odd = status->nodes()->Get(1);
  CHECK(odd->node_id() == 2);
  CHECK(odd->status()->str() == "disconnecting");
  CHECK(odd->note()->str() == told.second);
  CHECK(status->nodes()->Get(0)->note()->str().empty());
}

TEST_CASE_FIXTURE(Fixture, "what is stale, doubled or foreign between nodes changes nothing") {
  REQUIRE(join(request(2, {5, 5}, 10)).has_value());
  RawConnection client = open_local(*node);
  const auto version = [&] {
    const auto answer = client.request<protocol::ClusterStatus>(
        [](Builder& b) { return protocol::CreateClusterStatus(b); });
    return answer.as<protocol::ClusterStatusReply>()->version();
  };
  RawConnection connection(node->address().port);
  hello(connection, 2, 10);
  const auto propose = [&](std::uint64_t id, const std::vector<std::uint8_t>& wish) {
    return connection.request<protocol::ControllerPropose>(
        [&](Builder& b) { return protocol::CreateControllerProposeDirect(b, 1, id, &wish); });
  };
  // The same proposal twice is one.
  const auto once = propose(7, encode_wish(PauseBalancingCommand{true}));
  const auto* first = once.as<protocol::ControllerProposeReply>();
  REQUIRE(first != nullptr);
  const auto before = version();
  const auto twice = propose(7, encode_wish(PauseBalancingCommand{true}));
  REQUIRE(twice.as<protocol::ControllerProposeReply>() != nullptr);
  CHECK(version() == before);
  require_error(propose(8, {1, 2, 3}), ErrorCode::kBadArgument);
  // It has registered again: what its earlier life sends on an open connection is over.
  REQUIRE(join(request(2, {5, 5}, 11)).has_value());
  const auto registered = version();
  require_error(connection.request<protocol::NodeHeartbeat>(
                    [](Builder& b) { return protocol::CreateNodeHeartbeat(b, 2, 10); }),
                ErrorCode::kNodeConflict);
  require_error(connection.request<protocol::NodeJoin>([](Builder& b) {
    return protocol::CreateNodeJoinDirect(b, 2, Uuid{5, 5}.text().c_str(), 10, "h", 1, 0,
                                          kAllRoles);
  }),
                ErrorCode::kNodeConflict);
  require_error(propose(9, encode_wish(NodeLostCommand{2, 10})), ErrorCode::kBadArgument);
  require_error(propose(10, encode_wish(ChangeInSyncCommand{77, 0, {}})), ErrorCode::kUnknownTopic);
  CHECK(version() == registered);
}

TEST_CASE_FIXTURE(Fixture,
                  "a node that speaks another version, or has metadata of before, is refused") {
  const auto refused = [&](std::uint16_t least, std::uint64_t group, ErrorCode code,
                           const std::string& cluster = {}) {
    RawConnection connection(node->address().port);
    require_error(connection.request<protocol::Hello>([&](Builder& b) {
      return protocol::CreateHelloDirect(b, least, least, "test-node", "0", cluster.c_str(),
                                         nullptr, nullptr, 2, 10, false, nullptr, group);
    }),
                  code);
    CHECK(connection.wait_closed());
  };
  refused(2, 0, ErrorCode::kUnsupportedVersion);
  RawConnection client = open_local(*node);
  refused(1, 1 + 5, ErrorCode::kWrongCluster);  // of any cluster, perhaps
  client.create_topic("before", 1);
  // Of a newer group of this one: it is this node that stops deciding.
  refused(1, 1 + 5, ErrorCode::kWrongCluster, cluster_id);
  require_error(client.request<protocol::TopicCreate>([](Builder& b) {
    return protocol::CreateTopicCreateDirect(b, "default/default/default/after", 1, 1);
  }),
                ErrorCode::kWrongCluster);
}

TEST_CASE_FIXTURE(Fixture, "a stop does not wait for nodes that wait for metadata") {
  RawConnection connection(node->address().port);
  hello(connection, 2, 10);
  connection.send(make_frame<protocol::MetadataPull>(
      77, [](Builder& b) { return protocol::CreateMetadataPull(b, 1'000'000, 100, 10'000); }));
  connection.ping();
  const auto began = std::chrono::steady_clock::now();
  CHECK(node->stop().has_value());
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(8));
}

}  // namespace
}  // namespace andyx::test
