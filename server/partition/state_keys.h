// Keys of the partitions' small state in Table::kCursor.
#pragma once

#include <string>

#include "protocol/base/ids.h"

namespace andyx::server {

inline std::string state_key(char kind, PartitionId id) {
  return {kind, static_cast<char>(id >> 24), static_cast<char>(id >> 16),
          static_cast<char>(id >> 8), static_cast<char>(id)};
}
inline std::string producer_snapshot_key(PartitionId id) { return state_key('p', id); }
inline std::string cursor_snapshot_key(PartitionId id) { return state_key('s', id); }

}  // namespace andyx::server
