#include "server/partition/due_summary.h"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <vector>

#include "server/partition/due_row.h"

using namespace andyx;
using namespace andyx::server;

namespace {

using Rows = std::vector<DueKey>;

void learn(DueSummary& summary, DueKey after, TimeUs until_us, std::optional<DueKey> last,
           std::optional<DueKey> next) {
  summary.read_ended(summary.read_begins(after, until_us), last, next);
}

}  // namespace

TEST_CASE("rows of the due index sort by time, then by offset, and stay in their partition") {
  const std::vector<DueKey> keys{
      {-5, 9}, {0, 0}, {0, 1}, {1, 0}, {255, 7}, {256, 3}, {1'000'000, ~Offset{0}}};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CHECK(decode_due_row_key(due_row_key(7, keys[i])) == keys[i]);
    CHECK(due_row_key(7, keys[i]).starts_with(due_prefix(7)));
    CHECK(due_row_key(7, keys[i]) < due_row_key(8, keys[0]));
    if (i == 0) continue;
    CHECK(due_row_after(7, keys[i - 1]) > due_row_key(7, keys[i - 1]));
    CHECK(due_row_after(7, keys[i - 1]) < due_row_key(7, keys[i]));
  }
  CHECK_FALSE(decode_due_row_key(due_prefix(7)));
  CHECK_FALSE(decode_due_row_key(due_row_key(7, keys[0]) + "x"));
}

TEST_CASE("the oldest delayed message holds until all rows are counted, then bounds the rest") {
  DueSummary summary(10'000);
  CHECK(summary.oldest() == 0);
  CHECK_FALSE(summary.empty());
  summary.count_recovered(Rows{{50, 9'000}, {60, 5'001}, {70, 10'000}});  // the last is a new one
  summary.added(Rows{{70, 10'000}});
  CHECK(summary.oldest() == 0);
  summary.scan_ended();
  CHECK(summary.rows() == 3);
  CHECK(summary.oldest() == 5'001);
  summary.removed(Rows{{60, 5'001}});
  CHECK(summary.oldest() == 9'000);
  summary.removed(Rows{{50, 9'000}, {70, 10'000}});
  CHECK(summary.oldest() == kNoOffset);
  CHECK(summary.empty());
  CHECK(DueSummary(0).empty());
}

TEST_CASE("the counts stay bounded, and the bound holds, however the rows are spread") {
  DueSummary summary(0);
  constexpr Offset kStep = 1'000'003;
  Rows rows;
  for (Offset i = 1; i <= 200'000; ++i) rows.push_back({TimeUs(i), i * kStep});
  summary.added(rows);
  CHECK(summary.blocks() <= DueSummary::kMaxBlocks);
  CHECK(summary.rows() == rows.size());
  for (std::size_t gone = 0; gone < rows.size(); gone += 1'000) {
    CHECK(summary.oldest() <= rows[gone].offset);
    CHECK(summary.oldest() > 0);
    summary.removed(std::span(rows).subspan(gone, 1'000));
  }
  CHECK(summary.empty());
  summary.added(Rows{{1, 5}, {1, 5 + (1 << 12)}});
  CHECK(summary.blocks() == 2);  // narrow again
}

TEST_CASE("the next due time is what a read has seen, or early") {
  DueSummary summary(100);
  CHECK(summary.next_after({0, 0}) == TimeUs{0});  // nothing is known
  learn(summary, {0, 0}, 50, DueKey{40, 3}, DueKey{90, 8});
  CHECK(summary.next_after({30, 0}) == TimeUs{30});
  CHECK(summary.next_after({40, 3}) == TimeUs{90});
  CHECK(summary.next_after({50, ~Offset{0}}) == TimeUs{90});
  CHECK(summary.next_after({90, 8}) == TimeUs{90});
  summary.added(Rows{{70, 100}, {95, 101}});
  CHECK(summary.next_after({40, 3}) == TimeUs{70});
  CHECK(summary.next_after({70, 100}) == TimeUs{70});  // not known: early
  learn(summary, {70, 100}, 99, DueKey{95, 101}, std::nullopt);
  CHECK_FALSE(summary.next_after({95, 101}));
  CHECK_FALSE(summary.next_after({5'000, 0}));
  summary.added(Rows{{6'000, 102}});
  CHECK(summary.next_after({5'000, 0}) == TimeUs{6'000});
}

TEST_CASE("a read that may have missed a new row teaches nothing that is not so") {
  DueSummary summary(0);
  summary.added(Rows{{100, 1}});
  const auto behind = summary.read_begins({0, 0}, 50);
  summary.added(Rows{{80, 2}});  // beyond what is read, but nearer than what it saw
  summary.read_ended(behind, std::nullopt, DueKey{100, 1});
  CHECK(summary.next_after({0, 0}) == TimeUs{80});
  const auto within = summary.read_begins({50, 0}, 90);
  summary.added(Rows{{60, 3}});
  summary.read_ended(within, DueKey{80, 2}, DueKey{100, 1});
  CHECK(summary.next_after({50, 0}) == TimeUs{60});
  CHECK(summary.next_after({80, 2}) == TimeUs{80});
}

TEST_CASE("the next due time is never later than the real one, whatever happens") {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    DueSummary summary(0);
    std::set<DueKey> stored, known;  // what storage has, and what the loop has heard of
    struct Read {
      DueSummary::ReadId id;
      std::optional<DueKey> last, next;
    };
    std::vector<Read> reads;
    for (Offset step = 0; step < 200; ++step) {
      switch (random() % 5) {
        case 0:
          stored.insert({TimeUs(random() % 500), step});
          break;
        case 1:
          for (const DueKey& key : stored) {
            if (known.insert(key).second) summary.added(Rows{key});
          }
          break;
        case 2: {
          const DueKey after{TimeUs(random() % 400), random() % 200};
          const TimeUs until_us = after.at_us + TimeUs(random() % 100);
          Read read{summary.read_begins(after, until_us), {}, {}};
          for (const DueKey& key : stored) {
            if (key > after && key.at_us <= until_us) read.last = key;
            if (key > after && key.at_us > until_us && !read.next) read.next = key;
          }
          reads.push_back(read);
          break;
        }
        case 3:
          if (reads.empty()) break;
          summary.read_ended(reads.front().id, reads.front().last, reads.front().next);
          reads.erase(reads.begin());
          break;
        default:
          if (known.empty() || random() % 4 != 0) break;
          summary.removed(Rows{*known.begin()});
          stored.erase(*known.begin());
          known.erase(known.begin());
      }
      for (TimeUs at_us = 0; at_us < 500; at_us += 50) {
        const auto real = known.upper_bound({at_us, 100});
        const auto told = summary.next_after({at_us, 100});
        if (real == known.end()) continue;
        REQUIRE(told);
        REQUIRE(*told <= real->at_us);
      }
    }
  }
}
