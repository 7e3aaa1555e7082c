// RocksDB's statuses as our errors, and the one way back for a peer whose store is damaged.
#pragma once

#include <rocksdb/status.h>

#include <string>

#include "protocol/base/error.h"

namespace andyx::raft {

inline constexpr const char* kRejoin =
    "This peer may have forgotten a vote or entries it has confirmed, and must not take part with "
    "what is left: remove this node from the group and add it anew with an empty directory";

inline std::unexpected<Error> store_error(const rocksdb::Status& status, const std::string& where) {
  if (status.IsCorruption()) {
    return fail(ErrorCode::kCorrupt, where + ": " + status.ToString() + ". " + kRejoin);
  }
  if (status.IsNoSpace()) {
    return fail(ErrorCode::kDiskFull,
                where + ": " + status.ToString() + ". Make room on the disk and start again");
  }
  return fail(ErrorCode::kIo,
              where + ": " + status.ToString() + ". Check the disk and start again");
}

}  // namespace andyx::raft
