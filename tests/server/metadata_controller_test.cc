#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "server/metadata/controller.h"
#include "server/metadata/memory_metadata_log.h"
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

// A log that says only later who leads; all else is its twin's.
class LateLeader final : public MetadataLog {
 public:
  void lead() { changed_({.here = true, .node = 0}); }

  void campaign(NodeId node, std::uint32_t ttl_ms, LogDone<Result<ControllerEpoch>> done) override {
    log_->campaign(node, ttl_ms, std::move(done));
  }
  void append(Position expected, ControllerEpoch epoch, std::vector<EntryBytes> entries,
              LogDone<AppendResult> done) override {
    log_->append(expected, epoch, std::move(entries), std::move(done));
  }
  void read(Position from, std::size_t max_bytes,
            LogDone<Result<std::vector<LogEntry>>> done) override {
    log_->read(from, max_bytes, std::move(done));
  }
  void tail(LogDone<Result<Position>> done) override { log_->tail(std::move(done)); }
  void put_snapshot(ImageSnapshotBytes snapshot, LogDone<Status> done) override {
    log_->put_snapshot(std::move(snapshot), std::move(done));
  }
  void get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) override {
    log_->get_snapshot(std::move(done));
  }
  void trim(Position before, LogDone<Status> done) override { log_->trim(before, std::move(done)); }
  void watch(std::function<void(Position tail)> hint) override { log_->watch(std::move(hint)); }
  void on_leader(std::function<void(LogLeader)> changed) override {
    changed_ = std::move(changed);
    changed_({});
  }

 private:
  std::unique_ptr<MetadataLog> log_ =
      open_memory_metadata_log(std::make_shared<MemoryMetadataStore>());
  std::function<void(LogLeader)> changed_;
};

// Other nodes, which answer when they are told to.
class HeldPeer final : public ControllerPeer {
 public:
  void propose(NodeId, const Uuid&, std::vector<std::uint8_t>, Done done) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(done));
    changed_.notify_all();
  }
  void wait_asked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !asked_.empty(); });
  }
  // Of what is open the newest, as by a node that knows of no leader.
  void answer_newest() {
    std::unique_lock lock(mutex_);
    Done done = std::move(asked_.back());
    asked_.pop_back();
    lock.unlock();
    done(fail(ErrorCode::kNoController, "nobody leads"));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Done> asked_;
};

TEST_CASE("a node registers after the bootstrap of its cluster, whoever answers what meanwhile") {
  auto loop = std::move(*net::Loop::create());
  auto log = std::make_unique<LateLeader>();
  LateLeader& late = *log;
  HeldPeer peer;
  ControllerOptions options;
  options.node = {1, {1, 1}, 1, "127.0.0.1", 6540};
  options.bootstrap_cluster = Uuid::random();
  options.peer = &peer;
  Controller controller(*loop, std::move(log), options);
  std::thread thread([&] { loop->run(); });
  std::promise<Status> ready;
  controller.start([&](Status status) { ready.set_value(std::move(status)); });
  peer.wait_asked();  // nobody leads yet
  std::promise<void> all_asked;
  loop->post([&] { late.lead(); });
  loop->post([&] { all_asked.set_value(); });
  all_asked.get_future().get();
  peer.answer_newest();
  const Status started = ready.get_future().get();
  CHECK_MESSAGE(started.has_value(), started.error().message);
  std::promise<void> stopped;
  controller.stop([&] { stopped.set_value(); });
  stopped.get_future().get();
  loop->stop();
  thread.join();
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
