// Where a keyed message goes: the same in every client language (vectors in FORMAT.md). Any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace andyx::batch {

std::uint64_t key_hash64(std::string_view key);      // XXH3-64, seed 0
std::uint32_t table_key_hash(std::string_view key);  // low 32 bits of it, 0 replaced by 1
std::uint64_t hash_message_id(std::string_view id);  // XXH3-64, 0 replaced by 1
std::uint32_t partition_of_key(std::string_view key,
                               std::uint32_t partitions);  // hash64 mod partitions

}  // namespace andyx::batch
