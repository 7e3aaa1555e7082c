#include "clients/cpp/src/partition_turns.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

using andyx::client::PartitionTurns;

namespace {

std::uint32_t next(PartitionTurns& turns) {
  const std::uint32_t partition = turns.current();
  turns.advance();
  return partition;
}

}  // namespace

TEST_CASE("over few partitions each message goes one further, whatever is sealed") {
  PartitionTurns turns;
  turns.grow(PartitionTurns::kMostOpen, 5);
  for (std::uint32_t i = 0; i < 100; ++i) {
    CHECK(next(turns) == (5 + i) % PartitionTurns::kMostOpen);
    turns.release(i % PartitionTurns::kMostOpen);
  }
}

TEST_CASE(
    "over many partitions a few take turns until their batches are sealed; all get the same") {
  constexpr std::uint32_t kPartitions = 100;
  constexpr int kBatch = 7, kRounds = 50;
  PartitionTurns turns;
  turns.grow(kPartitions, 98);
  CHECK(turns.current() == 98);
  std::map<std::uint32_t, int> open, sealed;
  for (std::uint32_t i = 0; i < kPartitions * kBatch * kRounds; ++i) {
    const std::uint32_t partition = next(turns);
    CHECK(partition < kPartitions);
    if (++open[partition] < kBatch) continue;
    open.erase(partition);
    ++sealed[partition];
    turns.release(partition);
    CHECK(open.size() <= PartitionTurns::kMostOpen);
  }
  CHECK(sealed.size() == kPartitions);
  for (const auto& [partition, batches] : sealed) {
    CHECK(batches >= kRounds - 1);
    CHECK(batches <= kRounds + 1);
  }
}

TEST_CASE("messages that are sealed one by one go round all partitions") {
  PartitionTurns turns;
  turns.grow(40, 0);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 40; ++i) {
    const std::uint32_t partition = next(turns);
    turns.release(partition);
    CHECK(seen.insert(partition).second);
  }
}

TEST_CASE("partitions that come into being get their turn") {
  PartitionTurns turns;
  turns.grow(1, 7);
  CHECK(next(turns) == 0);
  CHECK(next(turns) == 0);
  turns.grow(3, 0);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 3; ++i) seen.insert(next(turns));
  CHECK(seen.size() == 3);
  turns.grow(60, 0);
  for (int i = 0; i < 60; ++i) {
    seen.insert(turns.current());
    turns.release(turns.current());
    turns.advance();
  }
  CHECK(seen.size() == 60);
}
