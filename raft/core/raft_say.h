// Raft::say, shared by the files of that class.
#pragma once

#include "raft/core/log_line.h"
#include "raft/core/raft.h"

namespace andyx::raft {

template <typename... Parts>
void Raft::say(LogLevel level, const Parts&... parts) const {
  log_line(*config_.logger, level, parts...);
}

}  // namespace andyx::raft
