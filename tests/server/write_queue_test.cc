#include "server/loop/write_queue.h"

#include <doctest/doctest.h>

#include <future>
#include <thread>

#include "protocol/batch/batch_builder.h"
#include "protocol/batch/batch_reader.h"
#include "tests/integration/support/wait_until.h"

using namespace andyx;
using namespace andyx::server;

namespace {

// A shard that answers when it is told to: what the queue does in between is what is tested.
class HeldShard final : public storage::StorageShard {
 public:
  Status submit(storage::WriteGroup group, storage::WriteObserver& observer) override {
    if (refuse != ErrorCode::kOk) return fail(refuse, "refused");
    submitted.push_back(std::move(group));
    observer_ = &observer;
    return {};
  }
  void answer_oldest(ErrorCode error) {
    storage::WriteResult result{.token = submitted.at(answered_++).token, .error = error};
    observer_->on_written({result});
  }

  Result<std::vector<SharedBytes>> read(storage::LogId, Offset, std::size_t) override { return {}; }
  Result<Offset> find_time(storage::LogId, TimeUs) override { return Offset{0}; }
  std::optional<storage::LogState> log_state(storage::LogId) const override { return std::nullopt; }
  std::vector<storage::LogId> logs() const override { return {}; }
  Status advance_start(storage::LogId, Offset) override { return {}; }
  Status drop_log(storage::LogId) override { return {}; }
  Result<storage::CutTail> truncate(storage::LogId, Offset) override { return storage::CutTail{}; }
  Status reset_log(storage::LogId, Offset, std::vector<storage::StatePut>) override { return {}; }
  Result<std::optional<std::string>> get(storage::Table, std::string_view) const override {
    return std::nullopt;
  }
  Status scan(storage::Table, std::string_view,
              const std::function<bool(std::string_view, std::string_view)>&) const override {
    return {};
  }
  Status scan_from(storage::Table, std::string_view, std::string_view,
                   const std::function<bool(std::string_view, std::string_view)>&) const override {
    return {};
  }
  Result<Sized> find_size(storage::LogId, std::uint64_t) override { return Sized{}; }
  Result<std::uint64_t> bytes_from(storage::LogId, Offset) override { return 0; }
  storage::ShardStatus status() const override { return {}; }
  Status close() override { return {}; }

  std::vector<storage::WriteGroup> submitted;
  ErrorCode refuse = ErrorCode::kOk;

 private:
  storage::WriteObserver* observer_ = nullptr;
  std::size_t answered_ = 0;
};

storage::LogAppend append_of(std::size_t payload_bytes) {
  batch::BatchBuilder builder;
  const std::string payload(payload_bytes, 'x');
  REQUIRE(builder.add({.payload = payload}));
  return {2, builder.build({})};
}

// Runs steps on a loop, each in a turn of its own.
class LoopThread {
 public:
  LoopThread() : loop_(*net::Loop::create()), thread_([this] { loop_->run(); }) {}
  ~LoopThread() {
    loop_->stop();
    thread_.join();
  }
  net::Loop& loop() { return *loop_; }
  // Returns at the end of the turn, behind what the work left for it.
  void step(std::function<void()> work) {
    std::promise<void> done;
    loop_->post([&] {
      work();
      loop_->at_end_of_turn([&] { done.set_value(); });
    });
    done.get_future().wait();
  }

 private:
  std::unique_ptr<net::Loop> loop_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("what one turn of the loop adds is one group, and outcomes come in order") {
  LoopThread thread;
  HeldShard shard;
  WriteQueue queue(thread.loop(), shard, 1 << 20);
  std::vector<int> outcomes;
  thread.step([&] {
    for (int i = 0; i < 3; ++i)
      queue.add(append_of(100), [&, i](ErrorCode error) {
        CHECK(error == ErrorCode::kOk);
        outcomes.push_back(i);
      });
  });
  REQUIRE(shard.submitted.size() == 1);
  CHECK(shard.submitted[0].appends.size() == 3);
  CHECK_FALSE(queue.idle());
  shard.answer_oldest(ErrorCode::kOk);
  thread.step([] {});
  CHECK(outcomes == std::vector<int>{0, 1, 2});
  CHECK(queue.idle());
}

TEST_CASE("ages are told of awaited writes only, and a group is as old as its first one") {
  LoopThread thread;
  HeldShard shard;
  WriteQueue queue(thread.loop(), shard, 1 << 20);
  std::vector<std::uint64_t> ages;
  queue.watch_ages([&](std::uint64_t age_us) { ages.push_back(age_us); });
  const auto add = [&](Awaited awaited) { queue.add({}, {{}}, [](ErrorCode) {}, awaited); };
  thread.step([&] { add(Awaited::kNo); });
  thread.step([&] { CHECK(queue.oldest_awaited_us() == 0); });
  const std::uint64_t before_us = net::monotonic_ns() / 1'000;
  thread.step([&] {
    add(Awaited::kNo);
    add(Awaited::kYes);
  });
  REQUIRE(shard.submitted.size() == 2);
  std::uint64_t waits_us = 0;
  REQUIRE(andyx::test::wait_until([&] {
    thread.step([&] { waits_us = queue.oldest_awaited_us(); });
    return waits_us > 2'000;
  }));
  shard.answer_oldest(ErrorCode::kOk);
  shard.answer_oldest(ErrorCode::kOk);
  thread.step([] {});
  REQUIRE(ages.size() == 1);
  CHECK(ages[0] >= waits_us);
  CHECK(ages[0] <= net::monotonic_ns() / 1'000 - before_us + 1);
  thread.step([&] { CHECK(queue.oldest_awaited_us() == 0); });
}

TEST_CASE("no more is under way than the queue's share; the rest follows when there is room") {
  LoopThread thread;
  HeldShard shard;
  WriteQueue queue(thread.loop(), shard, 1'000);
  int done = 0;
  for (int i = 0; i < 4; ++i)
    thread.step([&] { queue.add(append_of(600), [&](ErrorCode) { ++done; }); });
  CHECK(shard.submitted.size() == 1);
  for (std::size_t expected = 2; expected <= 4; ++expected) {
    shard.answer_oldest(ErrorCode::kOk);
    thread.step([] {});
    CHECK(shard.submitted.size() == expected);
  }
  shard.answer_oldest(ErrorCode::kOk);
  thread.step([] {});
  CHECK(done == 4);
}

TEST_CASE("a refused group takes all that stands behind it along, in order") {
  LoopThread thread;
  HeldShard shard;
  WriteQueue queue(thread.loop(), shard, 1'000);
  std::vector<std::pair<int, ErrorCode>> outcomes;
  for (int i = 0; i < 3; ++i) {
    thread.step([&] {
      queue.add(append_of(600), [&, i](ErrorCode error) { outcomes.emplace_back(i, error); });
    });
  }
  shard.refuse = ErrorCode::kDiskFull;
  shard.answer_oldest(ErrorCode::kOk);
  thread.step([] {});
  REQUIRE(outcomes.size() == 3);
  CHECK(outcomes[0] == std::pair{0, ErrorCode::kOk});
  CHECK(outcomes[1] == std::pair{1, ErrorCode::kDiskFull});
  CHECK(outcomes[2] == std::pair{2, ErrorCode::kDiskFull});
  CHECK(queue.idle());
}
