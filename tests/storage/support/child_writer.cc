#include "tests/storage/support/child_writer.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <deque>

#include "storage/rocksdb_shard.h"
#include "tests/storage/support/test_batches.h"

extern char** environ;

namespace andyx::storage::test {
namespace {

constexpr std::size_t kWindow = 16;

// Writes each acknowledgement to stdout; counts, so that the writer can keep a window.
class PipeObserver final : public WriteObserver {
 public:
  void on_written(std::vector<WriteResult> results) override {
    const std::lock_guard lock(mutex_);
    for (const WriteResult& result : results) {
      if (result.error != ErrorCode::kOk) std::_Exit(3);
      const ChildAck ack{.log = static_cast<LogId>(result.token % kChildLogs),
                         .end = result.token / kChildLogs};
      if (::write(STDOUT_FILENO, &ack, sizeof ack) != sizeof ack) std::_Exit(4);
    }
    in_flight_ -= results.size();
    changed_.notify_all();
  }
  void wait_for_window() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return in_flight_ < kWindow; });
    ++in_flight_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t in_flight_ = 0;
};

}  // namespace

int run_child_writer(const std::string& directory, std::size_t generation_bytes) {
  auto shard = open_rocksdb_shard({.directory = directory, .generation_bytes = generation_bytes});
  if (!shard) return 2;
  PipeObserver observer;
  for (std::uint64_t round = 0; round < 100'000; ++round) {
    for (LogId log = 0; log < kChildLogs; ++log) {
      observer.wait_for_window();
      const auto state = (*shard)->log_state(log);
      static std::array<Offset, kChildLogs> ends{};
      if (round == 0) ends[log] = state ? state->end_offset : 0;
      const std::uint32_t count = 1 + static_cast<std::uint32_t>((round + log) % 5);
      WriteGroup group{.token = (ends[log] + count) * kChildLogs + log};
      group.appends.push_back(
          {log, make_batch(log, ends[log], {.count = count, .payload_bytes = kChildPayloadBytes})});
      ends[log] += count;
      group.puts.push_back({Table::kMeta, "end/" + std::to_string(log), std::to_string(ends[log])});
      if (!(*shard)->submit(std::move(group), observer)) return 5;
    }
  }
  return 6;
}

ChildWriter::ChildWriter(const std::string& directory, std::size_t generation_bytes) {
  std::array<int, 2> ends;
  if (pipe(ends.data()) != 0) std::abort();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  std::string self = "/proc/self/exe", mode = "--child-writer", path = directory,
              bytes = std::to_string(generation_bytes);
  std::array<char*, 5> argv{self.data(), mode.data(), path.data(), bytes.data(), nullptr};
  if (posix_spawn(&pid_, self.c_str(), &actions, nullptr, argv.data(), environ) != 0) std::abort();
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  pipe_ = ends[0];
}

ChildWriter::~ChildWriter() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  ::close(pipe_);
}

std::map<LogId, Offset> ChildWriter::kill_after(std::size_t acks) {
  std::map<LogId, Offset> ends;
  ChildAck ack;
  for (std::size_t seen = 0; ::read(pipe_, &ack, sizeof ack) == sizeof ack; ++seen) {
    ends[ack.log] = std::max(ends[ack.log], ack.end);
    if (seen == acks) ::kill(pid_, SIGKILL);
  }
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  return ends;
}

}  // namespace andyx::storage::test
