#include <doctest/doctest.h>

#include <map>
#include <random>
#include <vector>

#include "server/metadata/shared_index.h"

namespace andyx::server {
namespace {

struct Item {
  int key = 0;
  std::uint64_t value = 0;
};
std::uint64_t hash_content(const Item& item) {
  return (static_cast<std::uint64_t>(item.key) * 1'000'003) ^ (item.value * 7'919);
}
struct ByKey {
  static int key(const Item& item) { return item.key; }
};
using Index = SharedIndex<Item, ByKey>;

void check_same(const Index& index, const std::map<int, std::uint64_t>& model) {
  REQUIRE(index.size() == model.size());
  auto expected = model.begin();
  std::uint64_t sum = 0;
  for (const Item& item : index) {
    REQUIRE(expected != model.end());
    CHECK(item.key == expected->first);
    CHECK(item.value == expected->second);
    sum += hash_content(item);
    ++expected;
  }
  CHECK(expected == model.end());
  CHECK(index.content_hash() == sum);
}

TEST_CASE(
    "an index behaves as a map through random puts and erases, and its copies do not change") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  Index index;
  std::map<int, std::uint64_t> model;
  std::vector<std::pair<Index, std::map<int, std::uint64_t>>> copies;
  for (int step = 0; step < 20'000; ++step) {
    const int key = static_cast<int>(random() % 3'000);
    if (random() % 3 != 0) {
      const std::uint64_t value = random();
      index.put(std::make_shared<const Item>(Item{key, value}));
      model[key] = value;
    } else {
      CHECK(index.erase(key) == (model.erase(key) == 1));
    }
    if (step % 4'000 == 0) copies.emplace_back(index, model);
  }
  check_same(index, model);
  for (const auto& [copy, copied_model] : copies) check_same(copy, copied_model);
  for (int key = 0; key < 3'000; ++key) {
    const auto found = index.find(key);
    CHECK((found != nullptr) == model.contains(key));
    const auto at = index.lower_bound(key);
    const auto expected = model.lower_bound(key);
    REQUIRE((at == index.end()) == (expected == model.end()));
    if (expected != model.end()) CHECK(at->key == expected->first);
  }
  for (int key = 0; key < 3'000; ++key) index.erase(key);
  CHECK(index.empty());
  CHECK(index.content_hash() == 0);
}

TEST_CASE("an index from sorted items equals one of single puts, and takes more") {
  for (const int count : {0, 1, 95, 96, 97, 1'000}) {
    std::vector<Index::Item> items;
    std::map<int, std::uint64_t> model;
    for (int key = 0; key < count; ++key) {
      items.push_back(std::make_shared<const Item>(Item{2 * key, 5}));
      model[2 * key] = 5;
    }
    Index index = Index::from_sorted(items);
    check_same(index, model);
    for (int key = 0; key < count; ++key) {
      index.put(std::make_shared<const Item>(Item{2 * key + 1, 6}));
      model[2 * key + 1] = 6;
    }
    check_same(index, model);
  }
}

}  // namespace
}  // namespace andyx::server
