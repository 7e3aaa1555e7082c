#include "server/partition/producer_table.h"

#include <doctest/doctest.h>

#include <vector>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

constexpr ProducerId kProducer = 7;
constexpr std::uint64_t kRemembered = limits::kProducerBatchesRemembered;

batch::Header header(ProducerId producer, std::uint32_t epoch, std::uint64_t sequence,
                     Offset base_offset, std::uint32_t count = 10) {
  batch::Header h;
  h.producer_id = producer;
  h.producer_epoch = epoch;
  h.sequence = sequence;
  h.base_offset = base_offset;
  h.count = count;
  h.append_time_us = static_cast<TimeUs>(1'000 + base_offset);
  return h;
}

// Sequences from..to - 1, ten messages each, sequence s at offset 10 * s, all durable.
void record(ProducerTable& table, std::uint64_t from, std::uint64_t to, bool durable = true) {
  for (std::uint64_t s = from; s < to; ++s) {
    if (durable)
      table.replay(header(kProducer, 1, s, 10 * s));
    else
      table.record(header(kProducer, 1, s, 10 * s));
  }
}

ErrorCode code(const ProducerTable& table, const batch::Header& h) {
  const auto verdict = table.check(h);
  return verdict ? ErrorCode::kOk : verdict.error().code;
}

bool is_new(const ProducerTable& table, const batch::Header& h) {
  const auto verdict = table.check(h);
  return verdict && !verdict->duplicate;
}

TEST_CASE("batches without a producer are always new and never remembered") {
  ProducerTable table;
  table.record(header(0, 0, 5, 0));
  CHECK(is_new(table, header(0, 0, 5, 0)));
  CHECK(table.size() == 0);
}

TEST_CASE("a producer starts at sequence 0") {
  ProducerTable table;
  CHECK(is_new(table, header(kProducer, 1, 0, 0)));
  CHECK(code(table, header(kProducer, 1, 1, 0)) == ErrorCode::kUnknownProducer);
}

TEST_CASE("the last batches are duplicates with their offsets, older ones only known as stored") {
  ProducerTable table;
  constexpr std::uint64_t kForgotten = 3, kNext = kForgotten + kRemembered;
  record(table, 0, kNext);
  CHECK(is_new(table, header(kProducer, 1, kNext, 0)));
  CHECK(code(table, header(kProducer, 1, kNext + 1, 0)) == ErrorCode::kOutOfSequence);
  for (std::uint64_t s = kForgotten; s < kNext; ++s) {
    const auto verdict = table.check(header(kProducer, 1, s, 0));
    REQUIRE(verdict.has_value());
    CHECK(verdict->duplicate);
    CHECK(verdict->original == ProducerBatch{s, 10 * s, 10 * s + 10, TimeUs(1'000 + 10 * s)});
  }
  for (std::uint64_t s = 0; s < kForgotten; ++s)
    CHECK(code(table, header(kProducer, 1, s, 0)) == ErrorCode::kDuplicateUnknown);
}

TEST_CASE("other bytes under a known sequence are no duplicate") {
  ProducerTable table;
  record(table, 0, 2);
  CHECK(code(table, header(kProducer, 1, 1, 0, 11)) == ErrorCode::kOutOfSequence);
}

TEST_CASE("a newer epoch fences the older one and starts at 0") {
  ProducerTable table;
  record(table, 0, 3);
  CHECK(code(table, header(kProducer, 2, 3, 0)) == ErrorCode::kOutOfSequence);
  REQUIRE(is_new(table, header(kProducer, 2, 0, 0)));
  table.record(header(kProducer, 2, 0, 30));
  CHECK(code(table, header(kProducer, 1, 3, 0)) == ErrorCode::kProducerFenced);
  CHECK(is_new(table, header(kProducer, 2, 1, 0)));
  CHECK(table.check(header(kProducer, 2, 0, 0))->original.base_offset == 30);
}

TEST_CASE("a rollback of more batches in flight than are remembered is exact") {
  ProducerTable table;
  constexpr std::uint64_t kDurable = kRemembered + 1;
  record(table, 0, kDurable);
  record(table, kDurable, kDurable + 3 * kRemembered, false);
  CHECK(table.rollback(10 * kDurable));
  CHECK(is_new(table, header(kProducer, 1, kDurable, 0)));
  for (std::uint64_t s = 1; s < kDurable; ++s)
    CHECK(table.check(header(kProducer, 1, s, 0))->duplicate);
  CHECK(code(table, header(kProducer, 1, kDurable + 1, 0)) == ErrorCode::kOutOfSequence);
}

TEST_CASE("a rollback of all batches of a new producer lets it start again") {
  ProducerTable table;
  record(table, 0, 20, false);
  CHECK(table.rollback(0));
  CHECK(is_new(table, header(kProducer, 1, 0, 0)));
}

TEST_CASE("a second rollback finds producers behind one that was rolled back before") {
  ProducerTable table;
  table.record(header(1, 1, 0, 0));
  table.record(header(2, 1, 0, 10));
  table.record(header(1, 1, 1, 20));
  CHECK(table.rollback(20));  // producer 1 is still the last used
  CHECK(table.rollback(10));
  CHECK(is_new(table, header(2, 1, 0, 0)));
  CHECK(table.check(header(1, 1, 0, 0))->duplicate);
}

TEST_CASE("a rollback below the durable end says when it cannot know the next sequence") {
  ProducerTable table;
  constexpr std::uint64_t kEnd = 3 * kRemembered;
  record(table, 0, kEnd);
  ProducerTable shallow;
  record(shallow, 0, kEnd);
  CHECK(shallow.rollback(10 * (kEnd - kRemembered + 1)));
  CHECK(is_new(shallow, header(kProducer, 1, kEnd - kRemembered + 1, 0)));
  CHECK_FALSE(table.rollback(10 * (kEnd - kRemembered)));
}

TEST_CASE("more than the bound are remembered only while they are not durable") {
  constexpr std::uint64_t kEnd = 3 * kRemembered;
  ProducerTable table;
  record(table, 0, kEnd, false);
  CHECK(table.check(header(kProducer, 1, 0, 0))->duplicate);
  table.durable(10 * kEnd);
  table.record(header(kProducer, 1, kEnd, 10 * kEnd));
  CHECK(code(table, header(kProducer, 1, 0, 0)) == ErrorCode::kDuplicateUnknown);
  CHECK(table.check(header(kProducer, 1, kEnd - kRemembered, 0))->duplicate);
}

TEST_CASE("idle producers are forgotten after 24 hours, from the last use") {
  constexpr TimeUs kIdleUs = TimeUs{limits::kProducerIdleMs} * 1'000;
  ProducerTable table;
  auto early = header(1, 1, 0, 0), late = header(2, 1, 0, 10), again = header(1, 1, 1, 20);
  early.append_time_us = 0;
  late.append_time_us = 100;
  again.append_time_us = 200;
  table.record(early);
  table.record(late);
  table.record(again);
  CHECK(table.evict_idle(kIdleUs + 99) == 0);
  CHECK(table.evict_idle(kIdleUs + 100) == 1);
  CHECK(code(table, header(2, 1, 1, 0)) == ErrorCode::kUnknownProducer);
  CHECK(is_new(table, header(1, 1, 2, 0)));
}

TEST_CASE("over the bound the producer unused for longest is forgotten") {
  ProducerTable table;
  for (ProducerId id = 1; id <= limits::kMaxProducersPerPartition; ++id)
    table.record(header(id, 1, 0, id, 1));
  table.record(header(1, 1, 1, 200'000, 1));  // now 2 is the oldest
  table.record(header(999'999, 1, 0, 200'001, 1));
  CHECK(table.size() == limits::kMaxProducersPerPartition);
  CHECK(code(table, header(2, 1, 1, 0)) == ErrorCode::kUnknownProducer);
  CHECK(is_new(table, header(1, 1, 2, 0)));
  CHECK(is_new(table, header(3, 1, 1, 0)));
}

TEST_CASE("snapshot plus replay gives the table that wrote on") {
  ProducerTable live;
  std::vector<batch::Header> log;
  Offset end = 0;
  const auto append = [&](ProducerId id, std::uint32_t epoch, std::uint64_t sequence) {
    log.push_back(header(id, epoch, sequence, end, 3));
    live.record(log.back());
    end += 3;
    live.durable(end);
  };
  constexpr std::uint64_t kNext = kRemembered + 4;
  for (std::uint64_t s = 0; s < kNext; ++s) append(1, 4, s);
  append(2, 1, 0);
  append(3, 1, 0);
  const Offset covered = end;
  const std::size_t replay_from = log.size();
  append(2, 1, 1);
  append(1, 5, 0);
  append(4, 1, 0);
  for (std::uint64_t s = 0; s < kRemembered + 2; ++s) append(5, 1, s);

  // Also when the snapshot is taken later than what it covers.
  auto snapshot = ProducerTable::decode(live.encode(covered));
  REQUIRE(snapshot.has_value());
  CHECK(snapshot->covered == covered);
  ProducerTable rebuilt = std::move(snapshot->table);
  for (std::size_t i = replay_from; i < log.size(); ++i) rebuilt.replay(log[i]);
  CHECK(rebuilt.encode(end) == live.encode(end));
  CHECK(code(rebuilt, header(1, 4, kNext, 0)) == ErrorCode::kProducerFenced);
  CHECK(is_new(rebuilt, header(3, 1, 1, 0)));
}

TEST_CASE("a snapshot leaves out what is above the offset it covers") {
  ProducerTable table;
  record(table, 0, 5);
  auto snapshot = ProducerTable::decode(table.encode(30));
  REQUIRE(snapshot.has_value());
  CHECK(is_new(snapshot->table, header(kProducer, 1, 3, 0)));
  CHECK(snapshot->table.check(header(kProducer, 1, 2, 0))->duplicate);
}

TEST_CASE("a damaged snapshot is refused wherever it is cut, and never accepted with more bytes") {
  ProducerTable table;
  record(table, 0, 7);
  std::vector<std::uint8_t> bytes = table.encode(70);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = ProducerTable::decode(ByteSpan(bytes.data(), size));
    REQUIRE_FALSE(decoded.has_value());
    CHECK(decoded.error().code == ErrorCode::kCorrupt);
  }
  CHECK(ProducerTable::decode(bytes).has_value());
  bytes.push_back(0);
  CHECK_FALSE(ProducerTable::decode(bytes).has_value());
  bytes.pop_back();
  bytes[0] = 99;
  CHECK_FALSE(ProducerTable::decode(bytes).has_value());
}

}  // namespace
}  // namespace andyx::server
