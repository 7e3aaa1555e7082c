#include "clients/cpp/src/held_ranges.h"

#include <doctest/doctest.h>

#include <random>
#include <set>

namespace andyx::client {

TEST_CASE("what was handed out is held until it is answered, in any order and twice") {
  HeldRanges held;
  held.add({0, 4});
  held.add({5, 9});
  for (Offset offset = 9; offset > 0; --offset) held.remove({offset, offset});
  CHECK_FALSE(held.empty());
  held.remove({3, 7});
  held.remove({0, 0});
  CHECK(held.empty());
  held.remove({0, 100});
  CHECK(held.empty());
}

TEST_CASE("held ranges agree with a plain set") {
  const auto seed = std::random_device{}();
  MESSAGE("seed ", seed);
  std::mt19937 random(seed);
  HeldRanges held;
  std::set<Offset> model;
  for (int step = 0; step < 20'000; ++step) {
    const Offset first = random() % 60;
    const Offset last = first + random() % 8;
    const bool add = random() % 5 == 0;
    if (add)
      held.add({first, last});
    else
      held.remove({first, last});
    for (Offset offset = first; offset <= last; ++offset) {
      if (add)
        model.insert(offset);
      else
        model.erase(offset);
    }
    CHECK(held.empty() == model.empty());
  }
}

}  // namespace andyx::client
