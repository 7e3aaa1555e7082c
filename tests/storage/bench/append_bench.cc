// How fast a shard appends, against appending the same bytes to a raw file with fdatasync: both in
// windows of so many batches, one sync for what is there. Not a test: prints figures.
//   append_bench [DIRECTORY] [BATCH_BYTES] [WINDOW] [TOTAL_MB] [LOGS]
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "protocol/batch/batch_builder.h"
#include "storage/rocksdb_shard.h"

namespace {

using namespace andyx;
using namespace andyx::storage;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point started) {
  return std::chrono::duration<double>(Clock::now() - started).count();
}

std::size_t rss_mb() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) >> 20;
}

class Window final : public WriteObserver {
 public:
  explicit Window(std::size_t size) : size_(size) {}
  void on_written(std::vector<WriteResult> results) override {
    const std::lock_guard lock(mutex_);
    for (const WriteResult& result : results) {
      if (result.error != ErrorCode::kOk) std::abort();
    }
    in_flight_ -= results.size();
    changed_.notify_one();
  }
  void enter() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return in_flight_ < size_; });
    ++in_flight_;
  }
  void drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return in_flight_ == 0; });
  }

 private:
  const std::size_t size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t in_flight_ = 0;
};

double raw_file(const std::string& directory, std::size_t batch_bytes, std::size_t window,
                std::size_t batches) {
  const std::string path = directory + "/raw";
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) std::abort();
  const std::vector<char> bytes(batch_bytes * window, 'x');
  const auto started = Clock::now();
  for (std::size_t done = 0; done < batches; done += window) {
    if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      std::abort();
    if (::fdatasync(file) != 0) std::abort();
  }
  const double elapsed = seconds_since(started);
  ::close(file);
  std::filesystem::remove(path);
  return elapsed;
}

SharedBytes batch_of(std::size_t bytes) {
  batch::BatchBuilder builder;
  const std::string payload(bytes, 'x');
  if (!builder.add({.payload = payload, .time_us = 1})) std::abort();
  return builder.build({});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "/tmp/andyx-append-bench";
  const std::size_t batch_bytes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 64 << 10;
  const std::size_t window = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 64;
  const std::size_t total_mb = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 2'000;
  const LogId logs = argc > 5 ? static_cast<LogId>(std::strtoul(argv[5], nullptr, 10)) : 4;
  const std::size_t batches = (total_mb << 20) / batch_bytes;
  std::filesystem::create_directories(directory);

  const double raw = raw_file(directory, batch_bytes, window, batches);
  std::printf("raw file:  %7.1f MB/s\n", static_cast<double>(total_mb) / raw);

  const auto first_opening = Clock::now();
  RecoveryReport report;
  auto shard = open_rocksdb_shard({.directory = directory + "/data"}, nullptr, &report);
  if (!shard) {
    std::fprintf(stderr, "%s\n", shard.error().message.c_str());
    return 1;
  }
  std::printf("opened:    %7.3f s, %llu MB replayed, %zu MB resident\n",
              seconds_since(first_opening),
              static_cast<unsigned long long>(report.replayed_bytes >> 20), rss_mb());
  if (!(*shard)->logs().empty())
    return 0;  // of a run that was killed: how long it takes to open again
  const SharedBytes model = batch_of(batch_bytes);
  Window in_flight(window);
  std::vector<Offset> ends(logs, 0);
  std::size_t most_rss = 0;
  const auto started = Clock::now();
  for (std::size_t i = 0; i < batches; ++i) {
    const LogId log = static_cast<LogId>(i % logs);
    SharedBytes bytes = SharedBytes::copy_of(model.span());
    batch::patch_server_fields(bytes.mutable_data(), 1, ends[log]++, 1);
    in_flight.enter();
    WriteGroup group;
    group.appends.push_back({log + 1, std::move(bytes)});
    if (Status submitted = (*shard)->submit(std::move(group), in_flight); !submitted) {
      std::fprintf(stderr, "%s\n", submitted.error().message.c_str());
      return 1;
    }
    if (i % 256 == 0) most_rss = std::max(most_rss, rss_mb());
  }
  in_flight.drain();
  const double elapsed = seconds_since(started);
  const ShardStatus status = (*shard)->status();
  std::printf(
      "shard:     %7.1f MB/s, share of raw %.2f, %.0f batches/s, %llu syncs, %zu MB resident\n",
      static_cast<double>(total_mb) / elapsed, raw / elapsed,
      static_cast<double>(batches) / elapsed, static_cast<unsigned long long>(status.syncs),
      most_rss);

  const auto reading = Clock::now();
  std::size_t read_bytes = 0;
  for (LogId log = 1; log <= logs; ++log) {
    Offset from = 0;
    for (;;) {
      auto found = (*shard)->read(log, from, 1 << 20);
      if (!found) {
        std::fprintf(stderr, "%s\n", found.error().message.c_str());
        return 1;
      }
      if (found->empty()) break;
      for (const SharedBytes& bytes : *found) read_bytes += bytes.size();
      from += found->size();
    }
  }
  std::printf("read:      %7.1f MB/s\n",
              static_cast<double>(read_bytes >> 20) / seconds_since(reading));
  (void)(*shard)->close();
  const auto opening = Clock::now();
  shard = open_rocksdb_shard({.directory = directory + "/data"});
  if (!shard) return 1;
  std::printf("reopened:  %7.3f s, %zu MB resident\n", seconds_since(opening), rss_mb());
  shard->reset();
  std::filesystem::remove_all(directory);
  return 0;
}
