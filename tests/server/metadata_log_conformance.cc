#include "tests/server/metadata_log_conformance.h"

#include <doctest/doctest.h>

#include <atomic>

namespace andyx::server::test {
namespace {

void check_append_and_read(const OpenLog& open) {
  const auto log = open();
  BlockingLog blocking(*log);
  std::atomic<Position> hinted = 0;
  log->watch([&](Position tail) { hinted = tail; });
  CHECK(blocking.tail() == 0);
  CHECK(blocking.read(0)->empty());
  CHECK_FALSE(blocking.get_snapshot()->has_value());

  const auto epoch = blocking.campaign();
  REQUIRE(epoch);
  CHECK(*epoch >= 1);
  auto result = blocking.append(0, *epoch, {entry("entry zero"), entry("entry one")});
  REQUIRE(result.outcome == AppendOutcome::kOk);
  CHECK(result.tail == 2);
  result = blocking.append(2, *epoch, {entry("entry two")});
  REQUIRE(result.outcome == AppendOutcome::kOk);
  CHECK(blocking.tail() == 3);
  while (hinted != 3) std::this_thread::yield();

  const auto all = blocking.read(0);
  REQUIRE(all);
  REQUIRE(all->size() == 3);
  CHECK((*all)[0].bytes == entry("entry zero"));
  CHECK((*all)[2].bytes == entry("entry two"));
  for (Position i = 0; i < 3; ++i) CHECK((*all)[i].position == i);
  // From the middle of an append; and bounded, but never empty before the tail.
  CHECK(blocking.read(1)->front().bytes == entry("entry one"));
  CHECK(blocking.read(0, 1)->size() < 3);
  CHECK_FALSE(blocking.read(0, 1)->empty());
  CHECK(blocking.read(3)->empty());
  CHECK(blocking.read(4).error().code == ErrorCode::kOffsetOutOfRange);
}

void check_refusals_write_nothing(const OpenLog& open) {
  const auto log = open();
  BlockingLog blocking(*log);
  const Position tail = *blocking.tail();
  const auto first = blocking.campaign();
  REQUIRE(first);
  for (const Position wrong : {tail + 1, tail - 1}) {
    const auto result = blocking.append(wrong, *first, {entry("mismatch")});
    CHECK(result.outcome == AppendOutcome::kMismatch);
    CHECK(result.tail == tail);
  }
  CHECK(blocking.append(tail, *first, {}).outcome == AppendOutcome::kNotApplied);
  const auto second = blocking.campaign();
  REQUIRE(second);
  CHECK(*second > *first);
  CHECK(blocking.append(tail, *first, {entry("fenced")}).outcome == AppendOutcome::kFenced);
  CHECK(blocking.append(tail, *second + 1, {entry("invented")}).outcome == AppendOutcome::kFenced);
  CHECK(blocking.tail() == tail);
  const auto result = blocking.append(tail, *second, {entry("by the second")});
  CHECK(result.outcome == AppendOutcome::kOk);
}

void check_reopen(const OpenLog& open) {
  ControllerEpoch before = 0;
  Position tail = 0;
  {
    const auto log = open();
    BlockingLog blocking(*log);
    before = *blocking.campaign();
    tail = *blocking.tail();
    REQUIRE(blocking.append(tail, before, {entry("kept over a restart")}).outcome ==
            AppendOutcome::kOk);
  }
  const auto log = open();
  BlockingLog blocking(*log);
  CHECK(blocking.tail() == tail + 1);
  CHECK(blocking.read(tail)->front().bytes == entry("kept over a restart"));
  const auto epoch = blocking.campaign();
  REQUIRE(epoch);
  CHECK(*epoch > before);
  CHECK(blocking.append(tail + 1, before, {entry("fenced")}).outcome == AppendOutcome::kFenced);
}

void check_snapshot_and_trim(const OpenLog& open) {
  Position tail = 0;
  {
    const auto log = open();
    BlockingLog blocking(*log);
    const auto epoch = blocking.campaign();
    tail = *blocking.tail();
    REQUIRE(tail >= 4);
    CHECK(blocking.trim(1).error().code == ErrorCode::kBadArgument);  // no snapshot covers it
    CHECK(blocking.put_snapshot(tail + 1, "of the future").error().code == ErrorCode::kBadArgument);
    REQUIRE(blocking.put_snapshot(tail - 1, "the image"));
    REQUIRE(blocking.put_snapshot(1, "an old one"));  // ignored
    CHECK(blocking.trim(tail).error().code == ErrorCode::kBadArgument);
    REQUIRE(blocking.trim(tail - 1));
    REQUIRE(blocking.trim(1));  // done already
    CHECK(blocking.read(tail - 2).error().code == ErrorCode::kOffsetOutOfRange);
    CHECK(blocking.read(tail - 1)->size() == 1);
    REQUIRE(blocking.append(tail, *epoch, {entry("after the trim")}).outcome == AppendOutcome::kOk);
  }
  const auto log = open();
  BlockingLog blocking(*log);
  const auto snapshot = blocking.get_snapshot();
  REQUIRE(snapshot);
  REQUIRE(snapshot->has_value());
  CHECK((*snapshot)->position == tail - 1);
  CHECK((*snapshot)->bytes == entry("the image"));
  CHECK(blocking.tail() == tail + 1);
  const auto rest = blocking.read(tail - 1);
  REQUIRE(rest);
  REQUIRE(rest->size() == 2);
  CHECK(rest->back().bytes == entry("after the trim"));
}

void check_trim_of_everything(const OpenLog& open) {
  Position tail = 0;
  {
    const auto log = open();
    BlockingLog blocking(*log);
    tail = *blocking.tail();
    REQUIRE(blocking.put_snapshot(tail, "all of it"));
    REQUIRE(blocking.trim(tail));
    CHECK(blocking.read(tail)->empty());
  }
  const auto log = open();
  BlockingLog blocking(*log);
  CHECK(blocking.tail() == tail);
  const auto epoch = blocking.campaign();
  const auto result = blocking.append(tail, *epoch, {entry("goes on")});
  CHECK(result.outcome == AppendOutcome::kOk);
  CHECK(blocking.read(tail)->front().bytes == entry("goes on"));
}

}  // namespace

// In this order: each part goes on with the log of the one before.
void check_metadata_log_conformance(const OpenLog& open) {
  check_append_and_read(open);
  check_refusals_write_nothing(open);
  check_reopen(open);
  check_snapshot_and_trim(open);
  check_trim_of_everything(open);
}

}  // namespace andyx::server::test
