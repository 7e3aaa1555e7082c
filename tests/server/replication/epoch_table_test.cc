#include "server/replication/epoch_table.h"

#include <doctest/doctest.h>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

using Entry = EpochTable::Entry;

EpochTable table_of(std::initializer_list<Entry> entries) {
  EpochTable table;
  for (const Entry& entry : entries) table.record(entry.epoch, entry.start);
  return table;
}

TEST_CASE("an epoch begins with its first batch only") {
  EpochTable table;
  CHECK(table.last_epoch() == 0);
  CHECK(table.record(2, 0));
  CHECK_FALSE(table.record(2, 5));
  CHECK(table.record(5, 9));
  CHECK(table.entries() == std::vector<Entry>{{2, 0}, {5, 9}});
  CHECK(table.last_epoch() == 5);
}

TEST_CASE("a look-up gives the largest epoch not above the asked one, and its end") {
  const EpochTable table = table_of({{2, 10}, {5, 20}, {6, 30}});
  const auto end = [&](MainEpoch asked) { return table.end_of(asked, 44); };
  CHECK_FALSE(end(1));
  CHECK(end(2)->epoch == 2);
  CHECK(end(2)->end == 20);
  CHECK(end(4)->epoch == 2);
  CHECK(end(5)->end == 30);
  CHECK(end(6)->end == 44);
  CHECK(end(9)->epoch == 6);
  CHECK(end(9)->end == 44);
  CHECK_FALSE(EpochTable().end_of(3, 0));
}

TEST_CASE("a cut forgets the epochs that began behind it, and at it") {
  EpochTable table = table_of({{1, 0}, {3, 10}, {4, 20}});
  table.truncate(20);
  CHECK(table.last_epoch() == 3);
  table.truncate(11);
  CHECK(table.last_epoch() == 3);
  table.truncate(0);
  CHECK(table.last_epoch() == 0);
}

TEST_CASE("an emptied log still knows its last epoch") {
  EpochTable table = table_of({{1, 0}, {3, 10}, {4, 20}});
  table.trim(15);
  CHECK(table.entries() == std::vector<Entry>{{3, 10}, {4, 20}});
  table.trim(20);  // the record before is of epoch 3
  CHECK(table.entries() == std::vector<Entry>{{3, 10}, {4, 20}});
  table.trim(30);
  CHECK(table.entries() == std::vector<Entry>{{4, 20}});
  CHECK(table.last_epoch() == 4);
}

TEST_CASE("the table comes back from its bytes, and other bytes are refused") {
  const EpochTable table = table_of({{1, 0}, {300, 1'000'000}, {4'000'000'000, 1ull << 40}});
  const auto bytes = table.encode();
  const auto back = EpochTable::decode(bytes);
  REQUIRE(back);
  CHECK(*back == table);
  CHECK(EpochTable::decode(EpochTable().encode())->entries().empty());

  for (std::size_t length = 0; length < bytes.size(); ++length)
    CHECK_FALSE(EpochTable::decode(ByteSpan(bytes).first(length)));
  auto longer = bytes;
  longer.push_back(0);
  CHECK_FALSE(EpochTable::decode(longer));
  auto newer = bytes;
  newer[0] = 2;
  CHECK(EpochTable::decode(newer).error().code == ErrorCode::kCorrupt);
  CHECK_FALSE(EpochTable::decode(std::vector<std::uint8_t>{1, 1, 0, 0}));        // epoch 0
  CHECK_FALSE(EpochTable::decode(std::vector<std::uint8_t>{1, 2, 1, 5, 1, 0}));  // no offsets
}

TEST_CASE("the table is bounded: the oldest epoch goes") {
  EpochTable table;
  for (MainEpoch epoch = 1; epoch <= limits::kMaxMainEpochsPerPartition + 1; ++epoch)
    table.record(epoch, epoch);
  CHECK(table.entries().size() == limits::kMaxMainEpochsPerPartition);
  CHECK_FALSE(table.end_of(1, 10'000));
}

}  // namespace
}  // namespace andyx::server
