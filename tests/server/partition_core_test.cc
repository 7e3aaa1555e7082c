#include "server/partition/partition_core.h"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <vector>

namespace andyx::server {
namespace {

batch::Header header(std::uint32_t count, ProducerId producer = 0, std::uint64_t sequence = 0) {
  batch::Header h;
  h.count = count;
  h.producer_id = producer;
  h.producer_epoch = 1;
  h.sequence = sequence;
  return h;
}

PartitionCore fresh(Offset end = 0, TimeUs last_us = 0) {
  return PartitionCore(3, {.end_offset = end, .last_append_time_us = last_us, .producers = {}});
}

ErrorCode code(const Result<PartitionCore::Produced>& produced) {
  return produced ? ErrorCode::kOk : produced.error().code;
}

TEST_CASE("offsets follow each other and append times never decrease") {
  PartitionCore core = fresh(100, 5'000);
  const auto first = core.produce(header(10), 0, 4'000);
  REQUIRE(first.has_value());
  CHECK(first->base_offset == 100);
  CHECK(first->end_offset == 110);
  CHECK(first->append_time_us == 5'000);
  CHECK(first->epoch == 3);
  CHECK_FALSE(first->duplicate);
  const auto second = core.produce(header(1), 3, 6'000);
  CHECK(second->base_offset == 110);
  CHECK(second->append_time_us == 6'000);
  CHECK(core.produce(header(1), 0, 5'500)->append_time_us == 6'000);
}

TEST_CASE("what was recovered is committed, and what is accepted only once it is durable") {
  PartitionCore core = fresh(100);
  CHECK(core.committed_offset() == 100);
  REQUIRE(core.produce(header(10), 0, 1).has_value());
  REQUIRE(core.produce(header(10), 0, 1).has_value());
  CHECK(core.committed_offset() == 100);
  CHECK(core.end_offset() == 120);
  core.durable(110);
  CHECK(core.committed_offset() == 110);
  core.durable(105);  // reported late: nothing moves back
  CHECK(core.committed_offset() == 110);
}

TEST_CASE("a request for another main epoch is refused and changes nothing") {
  PartitionCore core = fresh();
  CHECK(code(core.produce(header(1), 2, 1)) == ErrorCode::kNotMain);
  CHECK(code(core.produce(header(1), 4, 1)) == ErrorCode::kNotMain);
  CHECK(core.end_offset() == 0);
}

TEST_CASE("a duplicate names its original and appends nothing") {
  PartitionCore core = fresh();
  REQUIRE(core.produce(header(5, 9, 0), 0, 10).has_value());
  REQUIRE(core.produce(header(5, 9, 1), 0, 20).has_value());
  const auto again = core.produce(header(5, 9, 0), 0, 30);
  REQUIRE(again.has_value());
  CHECK(again->duplicate);
  CHECK(again->base_offset == 0);
  CHECK(again->end_offset == 5);
  CHECK(again->append_time_us == 10);
  CHECK(core.end_offset() == 10);
  CHECK(code(core.produce(header(5, 9, 3), 0, 30)) == ErrorCode::kOutOfSequence);
}

TEST_CASE("an append refused at once is undone, and its retry is new") {
  PartitionCore core = fresh();
  REQUIRE(core.produce(header(5, 9, 0), 0, 1).has_value());  // in flight
  REQUIRE(core.produce(header(5, 9, 1), 0, 1).has_value());
  core.append_refused(5, 10);
  CHECK(core.end_offset() == 5);
  CHECK_FALSE(core.draining());
  const auto retry = core.produce(header(5, 9, 1), 0, 2);
  REQUIRE(retry.has_value());
  CHECK_FALSE(retry->duplicate);
  CHECK(retry->base_offset == 5);
}

TEST_CASE("a refusal with appends behind it takes none until all of them have come back") {
  PartitionCore core = fresh();
  for (std::uint64_t s = 0; s < 4; ++s) REQUIRE(core.produce(header(5, 9, s), 0, 1).has_value());
  core.durable(5);
  core.append_refused(5, 10);
  CHECK(core.draining());
  CHECK(core.end_offset() == 5);
  CHECK(code(core.produce(header(5, 9, 1), 0, 2)) == ErrorCode::kDiskFull);
  CHECK(core.produce(header(5, 9, 0), 0, 2)->duplicate);  // what is stored is still known
  core.append_refused(10, 15);
  CHECK(core.draining());
  core.append_refused(15, 20);
  CHECK_FALSE(core.draining());
  const auto retry = core.produce(header(5, 9, 1), 0, 3);
  REQUIRE(retry.has_value());
  CHECK_FALSE(retry->duplicate);
  CHECK(retry->base_offset == 5);
}

TEST_CASE("after a storage failure nothing is taken, and late refusals change nothing") {
  PartitionCore core = fresh();
  REQUIRE(core.produce(header(5), 0, 1).has_value());
  core.storage_failed();
  CHECK(code(core.produce(header(5), 0, 1)) == ErrorCode::kStorageFailed);
  core.append_refused(0, 5);
  CHECK(core.end_offset() == 5);
  CHECK(core.failed());
}

TEST_CASE("the start of the log only moves forward") {
  PartitionCore core = fresh(100);
  core.start_advanced(50);
  core.start_advanced(40);
  CHECK(core.start_offset() == 50);
}

// Storage that refuses at random, in order; producers that retry. What is durable in the end has
// every sequence of every producer once, in order, without a gap in offsets.
TEST_CASE("random refusals lose and double nothing") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed ", seed);
  std::mt19937 random(seed);
  PartitionCore core = fresh();
  struct Append {
    ProducerId producer;
    std::uint64_t sequence;
    Offset from, to;
  };
  std::deque<Append> queue;
  std::vector<Append> stored;
  bool refusing = false;  // what is behind a refused append is refused, too
  std::vector<std::uint64_t> next(4, 0);
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 3 != 0) {
      const ProducerId producer = 1 + random() % 3;
      const std::uint32_t count = 1 + next[producer] % 7;
      const auto produced = core.produce(header(count, producer, next[producer]), 0, step);
      if (!produced) {
        REQUIRE(produced.error().code == ErrorCode::kDiskFull);
        REQUIRE(core.draining());
        continue;
      }
      REQUIRE_FALSE(produced->duplicate);
      if (random() % 10 == 0) {  // at submit
        core.append_refused(produced->base_offset, produced->end_offset);
        continue;
      }
      queue.push_back({producer, next[producer]++, produced->base_offset, produced->end_offset});
    } else if (!queue.empty()) {
      const Append done = queue.front();
      queue.pop_front();
      if (refusing || random() % 10 == 0) {
        if (!refusing) {  // the first: all behind it start again from it
          next[done.producer] = std::min(next[done.producer], done.sequence);
          for (const Append& a : queue) next[a.producer] = std::min(next[a.producer], a.sequence);
        }
        core.append_refused(done.from, done.to);
        refusing = !queue.empty();
        REQUIRE(core.draining() == refusing);
      } else {
        stored.push_back(done);
        core.durable(done.to);
      }
    }
  }
  REQUIRE(stored.size() > 1'000);
  Offset end = 0;
  std::vector<std::uint64_t> expected(4, 0);
  for (const Append& append : stored) {
    REQUIRE(append.from == end);
    REQUIRE(append.sequence == expected[append.producer]++);
    end = append.to;
  }
  CHECK(core.committed_offset() == end);
}

TEST_CASE("waiting acks are answered in order, up to what is committed") {
  AckQueue<std::unique_ptr<int>> queue;
  for (int i = 1; i <= 3; ++i) queue.push(Offset(10 * i), std::make_unique<int>(i));
  queue.push(10, std::make_unique<int>(4));  // a duplicate of the first
  std::vector<int> answered;
  const auto note = [&](std::unique_ptr<int> waiter) { answered.push_back(*waiter); };
  queue.pop(9, note);
  CHECK(answered.empty());
  queue.pop(20, note);
  CHECK(answered == std::vector<int>{1, 2});
  queue.pop(30, note);
  CHECK(answered == std::vector<int>{1, 2, 3, 4});
  CHECK(queue.empty());
}

TEST_CASE("a failure answers those above the offset and keeps the others") {
  AckQueue<int> queue;
  for (int i = 1; i <= 4; ++i) queue.push(Offset(10 * i), i);
  std::vector<int> failed, answered;
  queue.fail_from(20, [&](int waiter) { failed.push_back(waiter); });
  CHECK(failed == std::vector<int>{3, 4});
  queue.pop(kNoOffset, [&](int waiter) { answered.push_back(waiter); });
  CHECK(answered == std::vector<int>{1, 2});
}

}  // namespace
}  // namespace andyx::server
