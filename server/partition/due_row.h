// Rows of a partition's due index in Table::kCursor: one for each message whose time had not come
// when it was appended, key = prefix of the partition, deliver-at, offset (both sort as their
// numbers do), no value. And one row that says up to where rows were removed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/partition/state_keys.h"
#include "server/subscription/due_key.h"

namespace andyx::server {

inline std::string due_prefix(PartitionId id) { return state_key('d', id); }
inline std::string due_removed_key(PartitionId id) { return state_key('r', id); }

// 16 bytes.
std::string encode_due_key(DueKey key);
std::optional<DueKey> decode_due_key(std::string_view bytes);

inline std::string due_row_key(PartitionId id, DueKey key) {
  return due_prefix(id) + encode_due_key(key);
}
// Nothing for a key that is none.
std::optional<DueKey> decode_due_row_key(std::string_view row_key);
// The first possible row behind `key`.
inline std::string due_row_after(PartitionId id, DueKey key) { return due_row_key(id, key) + '\0'; }

}  // namespace andyx::server
