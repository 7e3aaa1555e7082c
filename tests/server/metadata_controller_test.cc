#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <thread>

#include "server/metadata/controller.h"
#include "storage/storage_shard.h"
#include "tests/server/running_controller.h"

namespace andyx::server::test {
namespace {

TEST_CASE("a cluster survives the restart of its node") {
  const auto shard = storage::open_memory_shard({});
  Uuid cluster;
  TopicId deleted = 0;
  {
    RunningController controller(*shard, 1);
    REQUIRE(controller.started);
    cluster = controller->image()->cluster_id;
    CHECK_FALSE(cluster.is_zero());
    const auto topic = controller.create("kept");
    REQUIRE(topic);
    CHECK((*topic)->name == topic_name("kept"));
    CHECK(controller->image()->find_topic((*topic)->id) != nullptr);
    deleted = (*controller.create("deleted"))->id;
    std::promise<Status> gone;
    controller->delete_topic(topic_name("deleted"),
                             [&](Status s) { gone.set_value(std::move(s)); });
    CHECK(gone.get_future().get());
    std::promise<Result<std::shared_ptr<const SubscriptionRecord>>> subscribed;
    controller->create_subscription(topic_name("kept"),
                                    {.name = "s", .mode = protocol::SubscriptionMode::nonresilient},
                                    [&](auto r) { subscribed.set_value(std::move(r)); });
    const auto subscription = subscribed.get_future().get();
    REQUIRE(subscription);
    CHECK((*subscription)->mode == protocol::SubscriptionMode::nonresilient);
  }
  RunningController controller(*shard, 2);
  REQUIRE(controller.started);
  const auto image = controller->image();
  CHECK(image->cluster_id == cluster);
  CHECK(image->topics.size() == 1);
  const auto topic = image->find_topic(topic_name("kept"));
  REQUIRE(topic);
  CHECK(image->find_subscription(topic->id, "s"));
  CHECK(topic->partitions().front().main_epoch == 2);  // a new incarnation
  CHECK((*controller.create("deleted"))->id > deleted);
}

TEST_CASE("another disk under the same node id does not start") {
  const auto shard = storage::open_memory_shard({});
  {
    RunningController first(*shard, 1, {1, 1});
  }
  RunningController second(*shard, 2, {2, 2});
  REQUIRE_FALSE(second.started);
  CHECK(second.started.error().code == ErrorCode::kNodeConflict);
}

TEST_CASE("10,000 topics from four threads: each is created once, and a restart knows them all") {
  const auto shard = storage::open_memory_shard({});
  constexpr int kThreads = 4;
  constexpr int kEach = 2'500;
  {
    RunningController controller(*shard, 1);
    std::atomic<int> created = 0, existing = 0, answered = 0;
    std::promise<void> all;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 2 * kEach; ++i) {
          // Every name is asked for twice, by two threads.
          const int number = (t * kEach + i) % (kThreads * kEach);
          controller->create_topic(topic_name("t" + std::to_string(number)), 1, [&](auto result) {
            if (result) ++created;
            if (!result && result.error().code == ErrorCode::kTopicExists) ++existing;
            if (++answered == 2 * kThreads * kEach) all.set_value();
          });
        }
      });
    }
    for (auto& thread : threads) thread.join();
    all.get_future().get();
    CHECK(created == kThreads * kEach);
    CHECK(existing == kThreads * kEach);
    CHECK(controller->image()->topics.size() == kThreads * kEach);
  }
  RunningController again(*shard, 2);
  REQUIRE(again.started);
  CHECK(again->image()->topics.size() == kThreads * kEach);
  CHECK(again->image()->partition_count == kThreads * kEach);
}

TEST_CASE("reserved producer ids never overlap") {
  const auto shard = storage::open_memory_shard({});
  std::vector<ProducerId> firsts;
  for (std::uint64_t run = 1; run <= 3; ++run) {
    RunningController controller(*shard, run);
    for (int i = 0; i < 3; ++i) {
      std::promise<Result<ProducerId>> answer;
      controller->reserve_producer_ids(100, [&](auto r) { answer.set_value(std::move(r)); });
      const auto first = answer.get_future().get();
      REQUIRE(first);
      firsts.push_back(*first);
    }
  }
  for (std::size_t i = 1; i < firsts.size(); ++i) CHECK(firsts[i] == firsts[i - 1] + 100);
}

TEST_CASE("proposals after stop are refused") {
  const auto shard = storage::open_memory_shard({});
  RunningController controller(*shard);
  std::promise<void> stopped;
  controller->stop([&] { stopped.set_value(); });
  stopped.get_future().get();
  const auto refused = controller.create("late");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kShuttingDown);
}

}  // namespace
}  // namespace andyx::server::test
