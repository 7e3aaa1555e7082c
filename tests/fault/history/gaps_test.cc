// The figures of a run, from histories whose times are known: those that entries() has.
#include "tests/fault/history/gaps.h"

#include <doctest/doctest.h>

namespace andyx::test::fault {
namespace {

TEST_CASE("a percentile is a value that was measured") {
  const std::vector<std::uint32_t> values = {1, 2, 3, 4, 100};
  CHECK(percentile(values, 50) == 3);
  CHECK(percentile(values, 99) == 100);
  CHECK(percentile({7}, 50) == 7);
  CHECK(percentile({}, 99) == 0);
}

struct Scene {
  std::vector<Entry> entries;

  void commit(std::uint32_t at_ms, std::uint32_t partition = 0) {
    entries.push_back({at_ms, Answered{.id = {}, .partition = partition, .offset = 0}});
  }
  Gaps gaps(std::uint32_t partitions = 1) const {
    History history({.partitions = partitions, .subscriptions = {}, .readers = {}});
    history.restore(entries);
    return measure_gaps(history);
  }
};

TEST_CASE("the gap that a fault tears counts from the write before it to the next one") {
  Scene scene;
  scene.commit(90);
  scene.entries.push_back({100 + 7, FaultBegun{1, "kill", 100}});
  scene.commit(700);
  scene.commit(710);
  scene.entries.push_back({800, Recovery{}});
  scene.commit(5'000);  // nobody's fault
  CHECK(scene.gaps() == Gaps{{"kill", {610}}});
}

TEST_CASE("without any write until the recovery the gap is the whole round") {
  Scene scene;
  scene.commit(90);
  scene.entries.push_back({100 + 7, FaultBegun{1, "kill", 100}});
  scene.entries.push_back({900, Recovery{}});
  CHECK(scene.gaps() == Gaps{{"kill", {810}}});
}

TEST_CASE("faults of one round are told apart from those that came alone") {
  Scene scene;
  scene.commit(90);
  scene.entries.push_back({100, FaultBegun{1, "kill", 100}});
  scene.entries.push_back({200, FaultBegun{2, "stop", 200}});
  scene.commit(400);
  scene.entries.push_back({400, Recovery{}});
  scene.entries.push_back({500, FaultBegun{3, "kill", 500}});
  scene.commit(510);
  scene.entries.push_back({510, Recovery{}});
  CHECK(scene.gaps() ==
        Gaps{{"kill", {110}}, {"kill, beside another", {310}}, {"stop, beside another", {310}}});
}

TEST_CASE("each partition counts for itself, and faults of one kind stand together") {
  Scene scene;
  scene.commit(100, 0);
  scene.commit(100, 1);
  scene.entries.push_back({100 + 7, FaultBegun{1, "stop", 100}});
  scene.commit(130, 0);
  scene.commit(160, 1);
  scene.entries.push_back({170, Recovery{}});
  scene.entries.push_back({170 + 7, FaultBegun{2, "stop", 170}});
  scene.commit(180, 0);
  scene.commit(180, 1);
  scene.entries.push_back({180, Recovery{}});
  CHECK(scene.gaps(2) == Gaps{{"stop", {20, 40, 50, 60}}});
}

}  // namespace
}  // namespace andyx::test::fault
