#include "protocol/base/shared_bytes.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace andyx {
namespace {

TEST_CASE("slices share the slab and keep it alive") {
  const std::vector<std::uint8_t> text = {1, 2, 3, 4, 5};
  SharedBytes slice;
  {
    const auto whole = SharedBytes::copy_of(text);
    slice = whole.slice(1, 3);
    CHECK(slice.data() == whole.data() + 1);
    CHECK_FALSE(whole.unique());
  }
  CHECK(slice.unique());
  CHECK(slice.charged_bytes() == 5);
  CHECK(std::vector<std::uint8_t>(slice.span().begin(), slice.span().end()) ==
        std::vector<std::uint8_t>{2, 3, 4});
}

TEST_CASE("a moved-from holder holds nothing") {
  auto first = SharedBytes::allocate(10);
  const auto second = std::move(first);
  CHECK(first.empty());
  CHECK(first.charged_bytes() == 0);
  CHECK(second.unique());
  CHECK(second.size() == 10);
}

TEST_CASE("empty bytes need no slab") {
  const auto empty = SharedBytes::copy_of({});
  CHECK(empty.empty());
  CHECK(empty.slice(0, 0).empty());
  CHECK(empty.charged_bytes() == 0);
}

TEST_CASE("slabs are aligned for FlatBuffers") {
  for (std::size_t size = 1; size < 100; ++size) {
    CHECK(reinterpret_cast<std::uintptr_t>(SharedBytes::allocate(size).data()) % 16 == 0);
  }
}

// ASan sees a double free or a leak, TSan a race with the bytes.
TEST_CASE("slices are copied and dropped on several threads") {
  constexpr int kThreads = 4, kRounds = 20'000;
  for (int repeat = 0; repeat < 5; ++repeat) {
    auto whole = SharedBytes::copy_of(std::vector<std::uint8_t>(64, 7));
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([held = whole] {
        for (int i = 0; i < kRounds; ++i) {
          auto copy = held.slice(static_cast<std::size_t>(i) % 64, 1);
          if (copy.data()[0] != 7) std::abort();
        }
      });
    }
    whole = {};
    for (auto& thread : threads) thread.join();
  }
}

}  // namespace
TEST_CASE("large slabs are made a little larger, and used again") {
  for (const std::size_t size : {32'768, 32'769, 65'600, 262'144, 1'000'001, 2'097'152}) {
    CAPTURE(size);
    const auto slab = SharedBytes::allocate(size);
    CHECK(slab.size() == size);
    CHECK(slab.charged_bytes() >= size);
    CHECK(slab.charged_bytes() <= size + size / 8);
  }
  auto first = SharedBytes::allocate(262'144);
  auto second = first.slice(0, 10);
  const std::uint8_t* const where = first.data();
  first = {};
  CHECK(SharedBytes::allocate(262'144).data() != where);  // held by the slice
}

TEST_CASE("slabs that many threads take and drop are nobody else's meanwhile") {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (std::uint8_t id = 1; id <= 4; ++id) {
    threads.emplace_back([&wrong, id] {
      std::vector<SharedBytes> held;
      for (int i = 0; i < 2'000; ++i) {
        auto slab = SharedBytes::allocate(40'000 + 40'000 * (i % 3));
        slab.mutable_data()[0] = slab.mutable_data()[slab.size() - 1] = id;
        held.push_back(std::move(slab));
        if (held.size() < 50) continue;
        for (const SharedBytes& one : held) {
          if (one.data()[0] != id || one.data()[one.size() - 1] != id) ++wrong;
        }
        held.clear();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace andyx
