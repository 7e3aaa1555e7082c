// A process that writes to a shard until it is killed, and says on a pipe what was acknowledged.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "storage/storage_shard.h"

namespace andyx::storage::test {

inline constexpr LogId kChildLogs = 4;
inline constexpr std::size_t kChildPayloadBytes = 300;

struct ChildAck {
  LogId log = 0;
  Offset end = 0;
};

// What main() does in the child; never returns 0 before it is killed.
int run_child_writer(const std::string& directory, std::size_t generation_bytes);

class ChildWriter {
 public:
  ChildWriter(const std::string& directory, std::size_t generation_bytes);
  ~ChildWriter();

  // Reads acknowledgements until there are so many in all; then kills the child and reads the rest.
  std::map<LogId, Offset> kill_after(std::size_t acks);

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
};

}  // namespace andyx::storage::test
