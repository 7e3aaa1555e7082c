// A process that writes to a store until it is killed, and says on a pipe what was done.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "raft/core/types.h"

namespace andyx::raft::test {

// What main() does in the child: entry i has term 1 + i / 100, and the vote of its term is 1 + term
// % 3.
int run_child_store(const std::string& directory);

class ChildStore {
 public:
  explicit ChildStore(const std::string& directory);
  ~ChildStore();

  // Reads until so many were done; then kills the child and reads the rest. The last one done.
  Index kill_after(std::size_t count);

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
};

}  // namespace andyx::raft::test
