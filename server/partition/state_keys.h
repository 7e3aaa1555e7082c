// Keys of the partitions' small state in Table::kCursor.
#pragma once

#include <string>
#include <string_view>

#include "protocol/base/ids.h"

namespace andyx::server {

inline std::string state_key(char kind, PartitionId id) {
  return {kind, static_cast<char>(id >> 24), static_cast<char>(id >> 16),
          static_cast<char>(id >> 8), static_cast<char>(id)};
}
// Of a key that begins as state_key() does.
inline PartitionId partition_of_state_key(std::string_view key) {
  PartitionId id = 0;
  for (const char byte : key.substr(1, 4)) id = id << 8 | static_cast<unsigned char>(byte);
  return id;
}
inline std::string producer_snapshot_key(PartitionId id) { return state_key('p', id); }
// Of logs with their main epochs (server/replication/epoch_table.h).
inline std::string epochs_row_key(PartitionId id, bool internal) {
  return state_key(internal ? 'E' : 'e', id);
}
// While the log is being cut: from where rows that were derived from it have to go.
inline std::string cut_note_key(PartitionId id) { return state_key('c', id); }
inline std::string cursor_snapshot_key(PartitionId id) { return state_key('s', id); }

}  // namespace andyx::server
