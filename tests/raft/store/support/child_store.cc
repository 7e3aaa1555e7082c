#include "tests/raft/store/support/child_store.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "tests/raft/store/support/store_fixture.h"

extern char** environ;

namespace andyx::raft::test {

int run_child_store(const std::string& directory) {
  auto store = RaftStore::open(options_at(directory));
  if (!store) return 2;
  for (Index index = (*store)->last_index() + 1; index < 1'000'000; ++index) {
    while ((*store)->queued_bytes() > 20'000) std::this_thread::yield();
    const Term term = 1 + index / 100;
    (*store)->write({.hard = HardState{.term = term, .vote = 1 + term % 3, .commit = index - 1},
                     .entries = {entry_at(index, term, 200)}},
                    [index] {
                      if (::write(STDOUT_FILENO, &index, sizeof index) != sizeof index) {
                        std::_Exit(4);
                      }
                    });
  }
  return 5;
}

ChildStore::ChildStore(const std::string& directory) {
  std::array<int, 2> ends;
  if (pipe(ends.data()) != 0) std::abort();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  std::string self = "/proc/self/exe", mode = "--child-store", path = directory;
  std::array<char*, 4> argv{self.data(), mode.data(), path.data(), nullptr};
  if (posix_spawn(&pid_, self.c_str(), &actions, nullptr, argv.data(), environ) != 0) std::abort();
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  pipe_ = ends[0];
}

ChildStore::~ChildStore() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  ::close(pipe_);
}

Index ChildStore::kill_after(std::size_t count) {
  Index last = 0, index = 0;
  for (std::size_t seen = 1; ::read(pipe_, &index, sizeof index) == sizeof index; ++seen) {
    last = std::max(last, index);
    if (seen == count) ::kill(pid_, SIGKILL);
  }
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  return last;
}

}  // namespace andyx::raft::test
