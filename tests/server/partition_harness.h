// One loop with one topic of one partition on a given shard: no sockets, no controller. What the
// image says is set by the test; so is the time that every_second is told (the loop's own ticks
// tell it the real one). The loop runs on a thread of its own, run() works on it.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "data_generated.h"
#include "protocol/batch/batch_builder.h"
#include "server/app/node.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::server {

inline constexpr PartitionId kPartition = 5;
inline constexpr SubscriptionId kSubscription = 9;

class PartitionHarness {
 public:
  explicit PartitionHarness(std::unique_ptr<storage::StorageShard> shard) {
    node_.config.cores = 1;
    node_.shard = std::move(shard);
    node_.read_pool = std::make_unique<ReadPool>(2, 64);
    node_.loops.push_back(std::make_unique<CoreLoop>(node_, 0, *net::Loop::create()));
    thread_ = std::thread([this] { loop().run(); });
    topic_.id = 3;
    topic_.name = *TopicName::parse("harness");
    topic_.set_partitions(
        {{.partition_id = kPartition, .main = 1, .replicas = {1}, .in_sync = {1}}});
  }
  ~PartitionHarness() {
    loop().stop();
    thread_.join();
    node_.read_pool.reset();
    CHECK(node_.shard->close());
    loop().release();
  }

  CoreLoop& loop() { return *node_.loops.front(); }
  storage::StorageShard& shard() { return *node_.shard; }
  Topic& topic() { return topic_; }  // then open() or publish()
  void subscribe(protocol::StartKind from = protocol::StartKind::earliest) {
    SubscriptionRecord record;
    record.id = kSubscription;
    record.name = "s";
    record.start_kind = from;
    topic_.subscriptions.put(std::make_shared<const SubscriptionRecord>(std::move(record)));
  }

  // Opens the topic as it is now, as at the start of a node.
  void open() {
    run([&] { REQUIRE(loop().open_partitions(image(true))); });
  }
  // The topic, as it is now, or its deletion reaches the loop.
  void publish(bool exists = true) {
    run([&] { loop().apply_image(image(exists)); });
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
    return test::wait_until([&] {
      bool holds = false;
      run([&] { holds = condition(); });
      return holds;
    });
  }

  Partition& partition() { return *loop().find_partition(kPartition); }  // on the loop
  Subscription& subscription() { return *partition().find_subscription(kSubscription); }
  Offset start() { return partition().core().start_offset(); }
  Offset end() { return partition().core().committed_offset(); }

  // One batch, with a message for each time (0: not delayed). Returns when it is committed.
  void produce(const std::vector<TimeUs>& deliver_at_us, std::size_t payload_bytes = 100) {
    batch::BatchBuilder builder;
    const std::string payload(payload_bytes, 'x');
    for (TimeUs at_us : deliver_at_us)
      REQUIRE(builder.add({.payload = payload, .deliver_at_us = at_us}));
    SharedBytes bytes = builder.build({});
    Offset end = 0;
    run([&] {
      const auto header = *batch::read_header(bytes.span());
      partition().produce(header, std::move(bytes), 0, protocol::Acks::main,
                          Reply(loop(), 0, 0, 0));
      end = partition().core().end_offset();
    });
    REQUIRE(until([&] { return this->end() == end; }));
  }

  // Lets a second pass, at this wall time. What it begins goes on in the background.
  void tick(TimeUs now_us) {
    run([&] {
      std::size_t reads_left = 10;
      partition().every_second(now_us, reads_left);
    });
  }
  // Ticks until the condition holds.
  bool tick_until(TimeUs now_us, const std::function<bool()>& condition) {
    return test::wait_until([&] {
      tick(now_us);
      bool holds = false;
      run([&] { holds = condition(); });
      return holds;
    });
  }

  // The rows of the due index behind `after`, as a subscription reads them.
  std::vector<DueKey> due(DueKey after, TimeUs until_us, std::size_t max = 100'000) {
    std::promise<Result<std::vector<DueKey>>> found;
    run([&] {
      partition().read_due(after, until_us, max, [&](Result<std::vector<DueKey>> rows) {
        found.set_value(std::move(rows));
      });
    });
    auto rows = found.get_future().get();
    REQUIRE(rows);
    return std::move(*rows);
  }

 private:
  std::shared_ptr<const Image> image(bool exists) {
    auto image = std::make_shared<Image>();
    image->position = ++position_;
    if (exists) {
      auto topic = std::make_shared<const Topic>(topic_);
      image->topics.put(topic);
      image->topics_by_id.put(topic);
    }
    return image;
  }

  Node node_;
  Topic topic_;
  Position position_ = 0;
  std::thread thread_;
};

}  // namespace andyx::server
