// XXH3 inlined: keys are short, a call through the library would cost more than the hash.
#define XXH_INLINE_ALL
#include "protocol/batch/key_hash.h"

#include <xxhash.h>
#include <cassert>

namespace andyx::batch {

std::uint64_t key_hash64(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

std::uint32_t table_key_hash(std::string_view key) {
  const auto low = static_cast<std::uint32_t>(key_hash64(key));
  return low == 0 ? 1 : low;
}

std::uint64_t hash_message_id(std::string_view id) {
  const std::uint64_t hash = key_hash64(id);
  return hash == 0 ? 1 : hash;
}

std::uint32_t partition_of_key(std::string_view key, std::uint32_t partitions) {
  assert(partitions > 0);
  return static_cast<std::uint32_t>(key_hash64(key) % partitions);
}

}  // namespace andyx::batch
