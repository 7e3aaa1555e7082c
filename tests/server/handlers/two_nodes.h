// Nodes of one loop each, on memory, listening on loopback and linked to each other: what handlers
// and coordinators do over nodes. No controller: images are the test's. Each loop runs on a thread
// of its own, run() works on it.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "frame_generated.h"
#include "protocol/batch/batch_builder.h"
#include "server/app/node.h"
#include "server/cluster/node_links.h"
#include "server/handlers/over_mains.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::server::test {

class TestNode {
 public:
  explicit TestNode(NodeId id) {
    node_.config.node_id = id;
    node_.config.cores = 1;
    node_.incarnation = 100 + id;
    node_.shard = storage::open_memory_shard({});
    node_.read_pool = std::make_unique<ReadPool>(1, 64);
    node_.loops.push_back(std::make_unique<CoreLoop>(node_, 0, *net::Loop::create()));
    auto claimed = net::claim_address({"127.0.0.1", 0});
    REQUIRE(claimed);
    claim_ = std::make_unique<net::AddressClaim>(std::move(*claimed));
    thread_ = std::thread([this] { loop().run(); });
    run([&] {
      REQUIRE(loop().listen(claim_->address()));
      loop().set_links(
          NodeLinks::create(loop().net_loop(), {.self = id, .incarnation = node_.incarnation}));
    });
  }
  ~TestNode() {
    kill();
    node_.read_pool.reset();
    CHECK(node_.shard->close());
    loop().release();
  }

  // Its connections break; nothing of it answers any more.
  void kill() {
    if (!thread_.joinable()) return;
    loop().stop();
    thread_.join();
  }

  CoreLoop& loop() { return *node_.loops.front(); }
  NodeRecord record() const {
    NodeRecord record;
    record.id = node_.config.node_id;
    record.incarnation = node_.incarnation;
    record.host = "127.0.0.1";
    record.port = claim_->address().port;
    return record;
  }

  void run(const std::function<void()>& work) {
    std::promise<void> done;
    loop().net_loop().post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  bool until(const std::function<bool()>& condition) {
    return andyx::test::wait_until([&] {
      bool holds = false;
      run([&] { holds = condition(); });
      return holds;
    });
  }
  // A request of this node to another one.
  Result<NodeFrame> ask(NodeId to, const NodeLinks::Fill& fill) {
    std::promise<Result<NodeFrame>> answer;
    auto future = answer.get_future();
    run([&] {
      call_node(loop(), to, fill, 30'000,
                [&](Result<NodeFrame> frame) { answer.set_value(std::move(frame)); });
    });
    return future.get();
  }

 private:
  Node node_;
  std::unique_ptr<net::AddressClaim> claim_;
  std::thread thread_;
};

// One topic of two partitions, with a failover subscription that partition 0 coordinates.
class TestCluster {
 public:
  static constexpr TopicId kTopic = 3;
  static constexpr SubscriptionId kSubscription = 9;

  TestCluster() {
    subscription_.id = kSubscription;
    subscription_.name = "s";
    subscription_.type = protocol::SubscriptionType::failover;
    subscription_.mode = protocol::SubscriptionMode::nonresilient;
    subscription_.initial_partitions = 2;
    nodes_ = {one.record(), two.record()};
  }

  // The next image: who is main of each partition, under which epoch.
  std::shared_ptr<const Image> next(const std::vector<std::pair<NodeId, MainEpoch>>& mains) {
    Topic topic;
    topic.id = kTopic;
    topic.name = *TopicName::parse("orders");
    std::vector<PartitionRecord> partitions;
    for (std::uint32_t index = 0; index < mains.size(); ++index) {
      PartitionRecord record;
      record.partition_id = 5 + index;
      record.index = index;
      record.main = mains[index].first;
      record.main_epoch = mains[index].second;
      record.replicas = record.in_sync = {record.main};
      partitions.push_back(std::move(record));
    }
    topic.set_partitions(std::move(partitions));
    topic.subscriptions.put(std::make_shared<const SubscriptionRecord>(subscription_));
    auto image = std::make_shared<Image>();
    image->cluster_id = {7, 7};
    image->position = ++position_;
    for (const NodeRecord& node : nodes_)
      image->nodes.put(std::make_shared<const NodeRecord>(node));
    auto shared = std::make_shared<const Topic>(std::move(topic));
    image->topics.put(shared);
    image->topics_by_id.put(shared);
    return image;
  }
  static void publish(TestNode& node, const std::shared_ptr<const Image>& image) {
    node.run([&] { node.loop().apply_image(image); });
  }
  void publish(const std::shared_ptr<const Image>& image) {
    publish(one, image);
    publish(two, image);
  }
  void add_node(const NodeRecord& node) { nodes_.push_back(node); }
  const SubscriptionRecord& subscription() const { return subscription_; }

  TestNode one{1}, two{2};

 private:
  SubscriptionRecord subscription_;
  std::vector<NodeRecord> nodes_;
  Position position_ = 0;
};

}  // namespace andyx::server::test
