#include "tests/storage/support/outcome.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "storage/rocksdb_shard.h"
#include "tests/storage/support/test_batches.h"

extern char** environ;

namespace andyx::storage::test {

Outcome outcome_of(const std::string& directory, const Expected& expected) {
  auto shard =
      open_rocksdb_shard({.directory = directory, .generation_bytes = expected.generation_bytes});
  if (!shard) {
    const ErrorCode code = shard.error().code;
    const bool named =
        code == ErrorCode::kDataLoss || code == ErrorCode::kCorrupt || code == ErrorCode::kIo;
    if (!named) std::fprintf(stderr, "open: %s\n", shard.error().message.c_str());
    return named ? Outcome::kRefused : Outcome::kOtherError;
  }
  Outcome outcome = Outcome::kWhole;
  for (LogId log = 1; log <= 2; ++log) {
    const auto end = read_all(**shard, log, 0, expected.payload_bytes);
    if (end && *end != expected.end) return Outcome::kShort;
    if (end) continue;
    if (end.error().code != ErrorCode::kCorrupt) {
      std::fprintf(stderr, "read: %s\n", end.error().message.c_str());
      return Outcome::kOtherError;
    }
    outcome = Outcome::kReadFails;
  }
  return outcome;
}

Outcome outcome_in_child(const std::string& directory, const Expected& expected) {
  std::string self = "/proc/self/exe", mode = "--outcome", path = directory,
              end = std::to_string(expected.end), payload = std::to_string(expected.payload_bytes),
              generation = std::to_string(expected.generation_bytes);
  std::array<char*, 7> argv{self.data(),    mode.data(),       path.data(), end.data(),
                            payload.data(), generation.data(), nullptr};
  pid_t pid = -1;
  if (posix_spawn(&pid, self.c_str(), nullptr, nullptr, argv.data(), environ) != 0) std::abort();
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) std::abort();
  if (WIFEXITED(status)) return static_cast<Outcome>(WEXITSTATUS(status));
  return WTERMSIG(status) == SIGABRT ? Outcome::kAborted : Outcome::kOtherError;
}

int run_outcome(char** arguments) {
  return static_cast<int>(
      outcome_of(arguments[0], {.end = std::strtoull(arguments[1], nullptr, 10),
                                .payload_bytes = std::strtoull(arguments[2], nullptr, 10),
                                .generation_bytes = std::strtoull(arguments[3], nullptr, 10)}));
}

}  // namespace andyx::storage::test
