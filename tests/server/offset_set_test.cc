#include "server/subscription/offset_set.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

namespace andyx::server {
namespace {

using Ranges = std::vector<OffsetRange>;

TEST_CASE("answers in order only move the floor") {
  OffsetSet set(10);
  CHECK(set.add(10, 10) == 1);
  CHECK(set.add(11, 20) == 10);
  CHECK(set.floor() == 21);
  CHECK(set.range_count() == 0);
}

TEST_CASE("ranges merge with their neighbours and with the floor") {
  OffsetSet set;
  CHECK(set.add(5, 6) == 2);
  CHECK(set.add(9, 10) == 2);
  CHECK(set.ranges() == Ranges{{5, 6}, {9, 10}});
  CHECK(set.add(7, 8) == 2);
  CHECK(set.ranges() == Ranges{{5, 10}});
  CHECK(set.add(0, 4) == 5);
  CHECK(set.floor() == 11);
  CHECK(set.range_count() == 0);
  CHECK(set.count_above_floor() == 0);
}

TEST_CASE("adding twice, or below the floor, adds nothing") {
  OffsetSet set(100);
  CHECK(set.add(0, 99) == 0);
  CHECK(set.add(90, 109) == 10);
  CHECK(set.floor() == 110);
  CHECK(set.add(120, 129) == 10);
  CHECK(set.add(125, 134) == 5);
  CHECK(set.add(120, 134) == 0);
  CHECK(set.ranges() == Ranges{{120, 134}});
  CHECK(set.count_above_floor() == 15);
}

TEST_CASE("a floor that rises swallows what it reaches") {
  OffsetSet set;
  set.add(5, 9);
  set.add(20, 29);
  set.advance_floor(3);
  CHECK(set.floor() == 3);
  set.advance_floor(5);
  CHECK(set.floor() == 10);
  set.advance_floor(25);
  CHECK(set.floor() == 30);
  set.advance_floor(7);
  CHECK(set.floor() == 30);
}

TEST_CASE("a cut takes ranges and floor down to the end") {
  OffsetSet set(10);
  set.add(20, 29);
  set.add(40, 49);
  set.cut(25);
  CHECK(set.ranges() == Ranges{{20, 24}});
  set.cut(5);
  CHECK(set.floor() == 5);
  CHECK(set.range_count() == 0);
}

TEST_CASE("the next missing offset lies behind the range that holds one") {
  OffsetSet set(10);
  set.add(20, 29);
  CHECK(set.next_missing(0) == 10);
  CHECK(set.next_missing(15) == 15);
  CHECK(set.next_missing(20) == 30);
  CHECK(set.next_missing(30) == 30);
  CHECK(set.contains(9));
  CHECK_FALSE(set.contains(10));
  CHECK(set.contains(29));
  CHECK(set.next_range(10) == OffsetRange{20, 29});
  CHECK(set.next_range(30) == std::nullopt);
}

TEST_CASE("a random set equals a plain one") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed ", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    OffsetSet set;
    std::set<Offset> model;
    Offset floor = 0;
    for (int step = 0; step < 1'000; ++step) {
      if (random() % 200 == 0) {
        const Offset to = random() % 2'000;
        set.advance_floor(to);
        for (Offset o = floor; o < to; ++o) model.insert(o);
      } else {
        const Offset first = random() % 2'000, last = first + random() % 4;
        std::uint64_t added = 0;
        for (Offset o = first; o <= last; ++o) added += model.insert(o).second;
        REQUIRE(set.add(first, last) == added);
      }
      while (model.contains(floor)) ++floor;
      REQUIRE(set.floor() == floor);
      const Offset probe = random() % 2'010;
      REQUIRE(set.contains(probe) == model.contains(probe));
      Offset missing = probe;
      while (model.contains(missing)) ++missing;
      REQUIRE(set.next_missing(probe) == missing);
    }
    Ranges expected;
    for (const Offset o : model) {
      if (o < floor) continue;
      if (!expected.empty() && expected.back().last + 1 == o)
        ++expected.back().last;
      else
        expected.push_back({o, o});
    }
    REQUIRE(set.ranges() == expected);
    REQUIRE(set.range_count() == expected.size());
  }
}

// Many chunks, values that split and merge: against a map of single offsets.
TEST_CASE("a random range map equals a plain map") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed ", seed);
  std::mt19937_64 random(seed);
  RangeMap<int> map;
  std::map<Offset, int> model;
  for (int step = 0; step < 20'000; ++step) {
    const Offset first = random() % 5'000, last = first + random() % (random() % 50 == 0 ? 900 : 6);
    std::map<Offset, int> removed;
    Offset previous = 0;
    map.cut(first, last, [&](const RangeMap<int>::Entry& piece) {
      REQUIRE(piece.first >= previous);
      REQUIRE(piece.first >= first);
      REQUIRE(piece.last <= last);
      for (Offset o = piece.first; o <= piece.last; ++o) removed[o] = piece.value;
      previous = piece.last + 1;
    });
    const auto from = model.lower_bound(first), to = model.upper_bound(last);
    REQUIRE(removed == std::map<Offset, int>(from, to));
    model.erase(from, to);
    if (random() % 3 != 0) {
      const int value = static_cast<int>(random() % 3);
      map.insert(first, last, value);
      for (Offset o = first; o <= last; ++o) model[o] = value;
    }
    REQUIRE(map.offsets() == model.size());
    const Offset probe = random() % 5'000;
    const auto* entry = map.lower(probe);
    const auto at = model.lower_bound(probe);
    REQUIRE((entry == nullptr) == (at == model.end()));
    if (entry != nullptr) {
      REQUIRE(entry->value == at->second);
      REQUIRE(std::max(entry->first, probe) == at->first);
    }
    if (step % 500 != 0) continue;
    std::vector<RangeMap<int>::Entry> expected, actual;
    for (const auto& [o, value] : model) {
      if (!expected.empty() && expected.back().last + 1 == o && expected.back().value == value)
        ++expected.back().last;
      else
        expected.push_back({o, o, value});
    }
    map.for_each([&](const auto& e) { actual.push_back(e); });
    REQUIRE(actual == expected);
    REQUIRE(map.size() == expected.size());
  }
}

}  // namespace
}  // namespace andyx::server
