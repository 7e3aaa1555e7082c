#include <doctest/doctest.h>

#include <random>
#include <utility>
#include <vector>

#include "server/metadata/partition_list.h"

namespace andyx::server::test {
namespace {

PartitionRecord record(std::uint32_t index, NodeId main) {
  return {.partition_id = index + 100,
          .index = index,
          .main = main,
          .replicas = {1, 2, 3},
          .in_sync = {1, 2},
          .eligible = {},
          .observers = {}};
}

PartitionList list_of(std::uint32_t count) {
  std::vector<PartitionRecord> records;
  for (std::uint32_t i = 0; i < count; ++i) records.push_back(record(i, 1));
  return PartitionList(std::move(records));
}

std::vector<std::uint32_t> differences(const PartitionList& before, const PartitionList& after) {
  std::vector<std::uint32_t> indexes;
  PartitionList::each_difference(before, after,
                                 [&](const PartitionRecord* was, const PartitionRecord* is) {
                                   indexes.push_back(is != nullptr ? is->index : was->index);
                                 });
  return indexes;
}

TEST_CASE("a change of a copy leaves the original, and what differs is found") {
  const PartitionList before = list_of(1'000);
  PartitionList after = before;
  CHECK(differences(before, after).empty());
  after.put(record(0, 2));
  after.put(record(63, 2));
  after.put(record(64, 2));
  after.put(record(999, 2));
  CHECK(before == list_of(1'000));
  CHECK(differences(before, after) == std::vector<std::uint32_t>{0, 63, 64, 999});
  CHECK(after[64].main == 2);
  CHECK(before[64].main == 1);
  CHECK(after != before);
  PartitionList grown = after;
  grown.put(record(1'000, 3));
  CHECK(grown.size() == 1'001);
  CHECK(after.size() == 1'000);
  CHECK(differences(after, grown) == std::vector<std::uint32_t>{1'000});
  CHECK(differences(grown, after) == std::vector<std::uint32_t>{1'000});
  CHECK(differences({}, list_of(2)) == std::vector<std::uint32_t>{0, 1});
}

TEST_CASE("the hash is that of the content, whatever way led there") {
  std::mt19937 random(20'261'127);
  PartitionList list = list_of(200);
  std::vector<PartitionList> kept;  // some changes are in place, some are of what others share
  for (int i = 0; i < 500; ++i) {
    const auto index = static_cast<std::uint32_t>(random() % 200);
    list.put(record(index, 1 + random() % 3));
    if (random() % 5 == 0) kept.push_back(list);
  }
  for (const PartitionList& one : kept)
    CHECK(one.content_hash() == PartitionList(one.records()).content_hash());
  CHECK(list.content_hash() == PartitionList(list.records()).content_hash());
  PartitionList other = list;
  other.put(record(7, list[7].main + 1));
  CHECK(other.content_hash() != list.content_hash());
  // The same records in each other's places are not the same.
  PartitionRecord a = list[3], b = list[4];
  std::swap(a.index, b.index);
  PartitionList swapped = list;
  swapped.put(a);
  swapped.put(b);
  CHECK(swapped.content_hash() != list.content_hash());
}

}  // namespace
}  // namespace andyx::server::test
