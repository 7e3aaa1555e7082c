#include "protocol/batch/key_hash.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace andyx::batch {
namespace {

// Made with the xxhsum tool (-H3); FORMAT.md shows the same.
TEST_CASE("key hashes are those of every other client") {
  CHECK(key_hash64("") == 0x2d06800538d394c2);
  CHECK(key_hash64("a") == 0xe6c632b61e964e1f);
  CHECK(key_hash64("order-1") == 0x5fc46503368e2876);
  CHECK(key_hash64("Grüße") == 0xb40c17e2196d97d8);
  CHECK(key_hash64("日本語") == 0x11fec42c806050b7);
  CHECK(key_hash64("customer-0000000042") == 0x120501161ff9efc9);
  CHECK(key_hash64(std::string(300, 'k')) == 0x3e901c94ff54faa0);
}

TEST_CASE("the table's hash is the low half, never the zero of no key") {
  CHECK(table_key_hash("") == 0x38d394c2);
  CHECK(table_key_hash("a") == 0x1e964e1f);
  CHECK(key_hash64("aefdnkmdh") == 0x15b8d9c800000000);
  CHECK(table_key_hash("aefdnkmdh") == 1);
}

TEST_CASE("a message id's hash is the whole of it, never the zero of no id") {
  CHECK(hash_message_id("order-1") == 0x5fc46503368e2876);
  CHECK(hash_message_id("aefdnkmdh") == 0x15b8d9c800000000);
}

TEST_CASE("a key's partition is stable, in range, and all partitions are used") {
  std::set<std::uint32_t> used;
  for (int i = 0; i < 1'000; ++i) {
    const auto key = "order-" + std::to_string(i);
    const auto partition = partition_of_key(key, 7);
    CHECK(partition == key_hash64(key) % 7);
    used.insert(partition);
  }
  CHECK(used.size() == 7);
  CHECK(partition_of_key("anything", 1) == 0);
}

}  // namespace
}  // namespace andyx::batch
