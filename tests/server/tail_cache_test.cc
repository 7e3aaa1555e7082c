#include "server/partition/tail_cache.h"

#include <doctest/doctest.h>

#include <memory>
#include <random>

namespace andyx::server {
namespace {

constexpr std::size_t kBatchBytes = 1'000;
constexpr std::size_t kCharge = kBatchBytes + TailCache::kOverheadBytes;

SharedBytes bytes(std::size_t size = kBatchBytes) { return SharedBytes::allocate(size); }

TEST_CASE("every offset of a batch finds it, and the walk over the batches has no hole") {
  TailCacheBudget budget(100 * kCharge);
  TailCache cache(budget);
  cache.append(50, 10, bytes());
  cache.append(60, 1, bytes());
  cache.append(61, 5, bytes());
  CHECK(cache.find(49) == nullptr);
  CHECK(cache.find(50)->base_offset == 50);
  CHECK(cache.find(59)->base_offset == 50);
  CHECK(cache.find(60)->end_offset == 61);
  CHECK(cache.find(65)->base_offset == 61);
  CHECK(cache.find(66) == nullptr);
  CHECK(cache.first_offset() == 50);
  CHECK(budget.used_bytes() == 3 * kCharge);
}

TEST_CASE("over the budget the oldest batch of any partition goes first") {
  TailCacheBudget budget(3 * kCharge);
  TailCache a(budget), b(budget);
  a.append(0, 10, bytes());
  b.append(0, 10, bytes());
  a.append(10, 10, bytes());
  b.append(10, 10, bytes());
  CHECK(a.find(0) == nullptr);
  CHECK(b.find(0) != nullptr);
  CHECK(a.find(10) != nullptr);
  a.append(20, 10, bytes());
  CHECK(b.find(0) == nullptr);
  CHECK(budget.used_bytes() == 3 * kCharge);
}

TEST_CASE("what lies below the start of the log is dropped, a batch across it stays") {
  TailCacheBudget budget(10 * kCharge);
  TailCache cache(budget);
  for (Offset offset = 0; offset < 50; offset += 10) cache.append(offset, 10, bytes());
  cache.drop_below(25);
  CHECK(cache.first_offset() == 20);
  CHECK(cache.find(19) == nullptr);
  CHECK(budget.used_bytes() == 3 * kCharge);
  cache.drop_below(30);
  CHECK(cache.first_offset() == 30);
  cache.drop_below(1'000);
  CHECK(cache.empty());
  CHECK(budget.used_bytes() == 0);
}

TEST_CASE("small batches are charged for their overhead, too") {
  TailCacheBudget budget(10 * TailCache::kOverheadBytes);
  TailCache cache(budget);
  for (Offset offset = 0; offset < 100; ++offset) cache.append(offset, 1, bytes(1));
  CHECK(cache.batches() < 10);
  CHECK(cache.find(99) != nullptr);
}

TEST_CASE("a gap drops what came before it") {
  TailCacheBudget budget(100 * kCharge);
  TailCache cache(budget);
  cache.append(0, 10, bytes());
  cache.append(20, 10, bytes());
  CHECK(cache.find(5) == nullptr);
  CHECK(cache.find(25) != nullptr);
  CHECK(budget.used_bytes() == kCharge);
}

TEST_CASE("a batch over the whole budget is not kept, nor what came before it") {
  TailCacheBudget budget(3 * kCharge);
  TailCache cache(budget), other(budget);
  other.append(0, 1, bytes());
  cache.append(0, 10, bytes());
  cache.append(10, 10, bytes(3 * kCharge));
  CHECK(cache.empty());
  CHECK(other.find(0) != nullptr);
  cache.append(20, 10, bytes());
  CHECK(cache.find(20) != nullptr);
}

TEST_CASE("truncation drops whole batches from the end and gives their bytes back") {
  TailCacheBudget budget(100 * kCharge);
  TailCache cache(budget);
  for (Offset base = 0; base < 50; base += 10) cache.append(base, 10, bytes());
  cache.truncate(30);
  CHECK(cache.find(29) != nullptr);
  CHECK(cache.find(30) == nullptr);
  CHECK(budget.used_bytes() == 3 * kCharge);
  cache.append(30, 5, bytes());
  CHECK(cache.find(34)->base_offset == 30);
}

TEST_CASE("a cache that goes gives its bytes back") {
  TailCacheBudget budget(100 * kCharge);
  {
    TailCache cache(budget);
    cache.append(0, 10, bytes());
  }
  CHECK(budget.used_bytes() == 0);
}

TEST_CASE("random appends and truncations keep budget and contents") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed ", seed);
  std::mt19937 random(seed);
  TailCacheBudget budget(20 * kCharge);
  std::vector<std::unique_ptr<TailCache>> caches;
  std::vector<Offset> ends(5, 0);
  for (int i = 0; i < 5; ++i) caches.push_back(std::make_unique<TailCache>(budget));
  for (int step = 0; step < 5'000; ++step) {
    const std::size_t i = random() % caches.size();
    if (random() % 20 == 0) {
      ends[i] -= std::min<Offset>(ends[i], random() % 20);
      caches[i]->truncate(ends[i]);
    } else if (random() % 100 == 0) {
      caches[i] = std::make_unique<TailCache>(budget);
    } else {
      const std::uint32_t count = 1 + random() % 9;
      caches[i]->append(ends[i], count, bytes(1 + random() % (3 * kBatchBytes)));
      ends[i] += count;
      REQUIRE(caches[i]->find(ends[i] - 1) != nullptr);
    }
    REQUIRE(budget.used_bytes() <= budget.capacity_bytes());
    std::size_t used = 0;
    for (const auto& cache : caches) {
      Offset at = cache->first_offset();
      std::size_t seen = 0;
      while (const CachedBatch* batch = cache->find(at)) {
        REQUIRE(batch->base_offset == at);
        used += batch->bytes.size() + TailCache::kOverheadBytes;
        at = batch->end_offset;
        ++seen;
      }
      REQUIRE(seen == cache->batches());
    }
    REQUIRE(used == budget.used_bytes());
  }
}

}  // namespace
}  // namespace andyx::server
