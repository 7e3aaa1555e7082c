#include "server/subscription/cursor_record.h"

#include <doctest/doctest.h>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

std::vector<CursorChange> sample() {
  return {
      {.subscription = 1,
       .kind = CursorChange::Kind::kState,
       .floor = 17,
       .skipped = 3,
       .answered = {{20, 25}, {30, 30}},
       .redeliveries = {{17, 18, -5, 2, 77}, {26, 26, 99, 1, 0}},
       .start = 11,
       .due_cursor = {-3, 21},
       .delayed = 4,
       .matured = {{12, 13}, {22, 22}},
       .dead_lettered = 1'000'000,
       .dead_round = {{26, 26}}},
      {.subscription = 2,
       .floor = ~Offset{0} - 1,
       .answered = {{9, 9}, {4, 5}},
       .redeliveries = {},
       .matured = {{7, 7}, {6, 6}},
       .dead_round = {}},
      {.subscription = 3, .kind = CursorChange::Kind::kDeleted},
  };
}

TEST_CASE("a record gives back the changes of all its subscriptions, in order") {
  const auto record = decode_cursor_record(encode_cursor_record(sample(), {55, 66}, 1234));
  REQUIRE(record.has_value());
  CHECK(record->covered == 1234);
  CHECK(record->changes == sample());
}

TEST_CASE("a record is read wherever it lies in memory") {
  const auto bytes = encode_cursor_record(sample());
  for (std::size_t shift = 0; shift < 8; ++shift) {
    std::vector<std::uint8_t> moved(shift, 0xff);
    moved.insert(moved.end(), bytes.begin(), bytes.end());
    const auto record = decode_cursor_record(ByteSpan(moved).subspan(shift));
    REQUIRE(record.has_value());
    CHECK(record->changes == sample());
  }
}

TEST_CASE("a cut record, or one of another kind, is corrupt") {
  const auto bytes = encode_cursor_record(sample());
  for (std::size_t size = 0; size < bytes.size() / 2; ++size) {
    const auto record = decode_cursor_record(ByteSpan(bytes).first(size));
    REQUIRE_FALSE(record.has_value());
    CHECK(record.error().code == ErrorCode::kCorrupt);
  }
  const std::vector<std::uint8_t> noise(200, 0xa5);
  CHECK_FALSE(decode_cursor_record(noise).has_value());
}

TEST_CASE("ranges that make no sense are corrupt") {
  const auto refused = [](CursorChange change) {
    const auto record = decode_cursor_record(encode_cursor_record({&change, 1}));
    return !record && record.error().code == ErrorCode::kCorrupt;
  };
  CHECK(refused({.subscription = 0}));
  CHECK(refused({.subscription = 1, .answered = {{5, 4}}}));
  CHECK(refused({.subscription = 1, .answered = {{5, kNoOffset}}}));
  CHECK(refused({.subscription = 1, .redeliveries = {{5, 4, 0, 1, 0}}}));
  CHECK(refused({.subscription = 1, .matured = {{5, 4}}}));
  CHECK(refused({.subscription = 1, .dead_round = {{9, 9}, {4, 5}}}));
  // The whole state is in order; an update need not be.
  CHECK(refused(
      {.subscription = 1, .kind = CursorChange::Kind::kState, .answered = {{9, 9}, {4, 5}}}));
  CHECK_FALSE(refused({.subscription = 1, .answered = {{9, 9}, {4, 5}}}));
}

TEST_CASE(
    "the size of a record is known before it is encoded, and the largest state fits a message") {
  std::vector<CursorChange> changes = sample();
  for (std::size_t n = 1; n <= changes.size(); ++n) {
    std::size_t bound = 192;
    for (std::size_t i = 0; i < n; ++i) bound += change_bytes(changes[i]);
    CHECK(encode_cursor_record({changes.data(), n}).size() <= bound);
  }
  // Every two unanswered messages take the room of one answered range (SubscriptionCore::window).
  for (const std::uint64_t ranges : {std::uint64_t{0}, std::uint64_t{limits::kMaxAnsweredRanges}}) {
    CursorChange largest{.subscription = 1, .kind = CursorChange::Kind::kState};
    for (std::uint64_t i = 0; i < ranges; ++i) largest.answered.push_back({10 * i + 1, 10 * i + 1});
    for (std::uint64_t i = 0; i < 2 * (limits::kMaxAnsweredRanges - ranges); ++i)
      largest.redeliveries.push_back({10 * i + 2, 10 * i + 2, 1, 1, 1});
    for (std::uint64_t i = 0; i < limits::kMaxMatured; ++i)
      largest.matured.push_back({10 * i + 3, 10 * i + 3});
    CHECK(encode_cursor_record({&largest, 1}).size() <= limits::kMaxMessageBytes);
  }
}

}  // namespace
}  // namespace andyx::server
