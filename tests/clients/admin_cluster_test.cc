// The administration of a cluster: what is asked travels, what is answered is told.
#include <atomic>
#include <string>
#include <vector>

#include "tests/clients/client_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeServer;

// What was asked, in words; everything is answered with Done.
struct Asked {
  explicit Asked(FakeServer& server) {
    server.intercept([this](FakeServer::Session& session, const protocol::Frame& f) {
      const auto text = words(f);
      if (text.empty()) return false;
      std::lock_guard lock(mutex);
      all.push_back(text);
      session.done(f.correlation_id());
      return true;
    });
  }
  static std::string words(const protocol::Frame& f) {
    const auto n = [](std::uint64_t value) { return ' ' + std::to_string(value); };
    if (const auto* b = f.body_as_NodeRemove()) return "remove" + n(b->node_id());
    if (const auto* b = f.body_as_NodeDrain()) return "drain" + n(b->node_id()) + n(b->on());
    if (const auto* b = f.body_as_BalancePause()) return "pause" + n(b->paused());
    if (const auto* b = f.body_as_PartitionMove())
      return "move " + b->topic()->str() + n(b->partition()) + n(b->to()) + n(b->from());
    if (const auto* b = f.body_as_PartitionElect())
      return "elect " + b->topic()->str() + n(b->partition()) + n(b->to()) +
             n(b->accept_data_loss());
    return {};
  }
  std::mutex mutex;
  std::vector<std::string> all;
};

}  // namespace

TEST_CASE("changes of the cluster travel with what was asked") {
  FakeServer server;
  Asked asked(server);
  auto client = client_of(server);
  auto admin = client.admin();
  CHECK(admin.node_remove(3));
  CHECK(admin.node_drain(2, true));
  CHECK(admin.balance_pause(true));
  CHECK(admin.partition_move("t", 4, 2));
  CHECK(admin.partition_move("t", 4, 2, 3));
  CHECK(admin.partition_elect("t", 1, 2, true));
  CHECK(admin.partition_move("not a topic", 0, 1).error().code == ErrorCode::kBadName);
  std::lock_guard lock(asked.mutex);
  const std::string topic = test::kTopic;
  CHECK(asked.all ==
        std::vector<std::string>{"remove 3", "drain 2 1", "pause 1", "move " + topic + " 4 2 0",
                                 "move " + topic + " 4 2 3", "elect " + topic + " 1 2 1"});
}

TEST_CASE("the state of the cluster is told with its nodes") {
  FakeServer server;
  server.intercept([](FakeServer::Session& session, const protocol::Frame& f) {
    if (f.body_type() == Body::SafeToStop) {
      session.reply(f.correlation_id(), Body::SafeToStopReply, [](auto& b) {
        return protocol::CreateSafeToStopReplyDirect(b, false, "the last copy of t/0");
      });
      return true;
    }
    if (f.body_type() != Body::ClusterStatus) return false;
    session.reply(f.correlation_id(), Body::ClusterStatusReply, [](auto& b) {
      const std::vector<std::uint32_t> voters{1, 2};
      const std::vector<flatbuffers::Offset<protocol::ClusterNode>> nodes{
          protocol::CreateClusterNodeDirect(b, 2, "b.example", 6540, 6541, kRoleBroker, "online",
                                            true, false, true, true, false, 77, 90, 3, 5, 11, 12,
                                            13, 14, "astray", 15, 16, 17)};
      const std::vector<flatbuffers::Offset<protocol::NodeUnevenness>> uneven{
          protocol::CreateNodeUnevenness(b, 2, true, 150, 100, 200)};
      return protocol::CreateClusterStatusReplyDirect(b, "c", "partially-online", 2, 8, 91, &voters,
                                                      &nodes, 6, 1, 2, true, 4, "one voter is off",
                                                      0, false, true, &uneven);
    });
    return true;
  });
  auto client = client_of(server);
  const auto status = client.admin().cluster_status();
  REQUIRE(status.has_value());
  CHECK(status->status == "partially-online");
  CHECK(status->controller == 2);
  CHECK(status->voters == std::vector<NodeId>{1, 2});
  CHECK(status->under_replicated == 1);
  CHECK(status->without_main == 2);
  CHECK(status->balancing_paused);
  CHECK(status->moves == 4);
  CHECK(status->note == "one voter is off");
  REQUIRE(status->nodes.size() == 1);
  const auto& node = status->nodes.front();
  CHECK(node.node_id == 2);
  CHECK(node.host == "b.example");
  CHECK(node.peer_port == 6541);
  CHECK(node.controller);
  CHECK(node.voter);
  CHECK_FALSE(node.learner);
  CHECK(node.mains == 3);
  CHECK(node.copies == 5);
  CHECK(node.disk_free_bytes == 14);
  CHECK(node.in_rate == 15);
  CHECK(node.out_rate == 16);
  CHECK(node.stored_bytes == 17);
  CHECK(node.note == "astray");
  CHECK_FALSE(status->by_traffic);
  CHECK(status->by_disk);
  REQUIRE(status->uneven.size() == 1);
  CHECK(status->uneven[0].node_id == 2);
  CHECK(status->uneven[0].copies);
  CHECK(status->uneven[0].score == 150);
  CHECK(status->uneven[0].number == 100);
  CHECK(status->uneven[0].measured == 200);
  const auto advice = client.admin().safe_to_stop(2);
  REQUIRE(advice.has_value());
  CHECK_FALSE(advice->safe);
  CHECK(advice->why == "the last copy of t/0");
}

TEST_CASE("topic create and alter say how many copies, the answer tells where they are") {
  FakeServer server;
  std::atomic<int> good{0};
  server.intercept([&](FakeServer::Session& session, const protocol::Frame& f) {
    if (const auto* create = f.body_as_TopicCreate()) {
      good += create->partitions() == 2 && create->replication_factor() == 3 && create->async();
    } else if (const auto* alter = f.body_as_TopicAlter()) {
      good += alter->partitions() == 0 && alter->replication_factor() == 5;
    } else {
      return false;
    }
    session.reply(f.correlation_id(), Body::TopicReply, [](auto& b) {
      const std::vector<std::uint32_t> replicas{1, 2}, in_sync{1}, observers{4}, eligible{2};
      const std::vector<std::uint64_t> offsets{8, kNoOffset};
      const std::vector<flatbuffers::Offset<protocol::PartitionInfo>> partitions{
          protocol::CreatePartitionInfoDirect(b, 0, 100, 1, 6, 9, &replicas, &in_sync, 1, 7, 30,
                                              &observers, &eligible, 2, &offsets)};
      const std::vector<flatbuffers::Offset<protocol::TopicInfo>> topics{
          protocol::CreateTopicInfoDirect(b, test::kTopic, test::kTopicId, &partitions)};
      return protocol::CreateTopicReplyDirect(b, &topics);
    });
    return true;
  });
  auto client = client_of(server);
  const auto created =
      client.admin().create_topic("t", {.partitions = 2, .replication_factor = 3, .async = true});
  REQUIRE(created.has_value());
  const auto& partition = created->partitions.at(0);
  CHECK(partition.version == 9);
  CHECK(partition.observers == std::vector<NodeId>{4});
  CHECK(partition.eligible == std::vector<NodeId>{2});
  CHECK(partition.min_in_sync == 2);
  CHECK(partition.replica_offsets == std::vector<Offset>{8, kNoOffset});
  CHECK(client.admin().alter_topic("t", TopicChange{.replication_factor = 5}).has_value());
  CHECK(good == 2);
}

}  // namespace andyx::client
