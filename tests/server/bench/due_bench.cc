// Figures, not a test: what millions of waiting delayed messages cost in storage and in memory, and
// how long their rows take to be written, counted after a restart, read and removed.
//   due_bench DIRECTORY [ROWS] [PAYLOAD_BYTES]
#define DOCTEST_CONFIG_IMPLEMENT
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>

#include "storage/rocksdb_shard.h"
#include "tests/server/partition_harness.h"

using namespace andyx;
using namespace andyx::server;

namespace {

constexpr std::size_t kBatch = 1'000;
constexpr TimeUs kHour = 3'600'000'000;

std::uint64_t rss_mib() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) >> 20;
}

class Clock {
 public:
  void report(const char* what, PartitionHarness& harness) {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - since_).count();
    std::printf("%-28s %8.2f s   rss %5lu MiB   disk %6lu MiB\n", what, seconds,
                static_cast<unsigned long>(rss_mib()),
                static_cast<unsigned long>(harness.shard().status().disk_bytes >> 20));
    std::fflush(stdout);
    since_ = std::chrono::steady_clock::now();
  }

 private:
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

std::unique_ptr<storage::StorageShard> open_shard(const char* directory) {
  auto shard = storage::open_rocksdb_shard({.directory = directory, .fsync = false});
  if (!shard) {
    std::fprintf(stderr, "%s\n", shard.error().message.c_str());
    std::exit(1);
  }
  return std::move(*shard);
}

void append(PartitionHarness& harness, TimeUs now_us, std::size_t payload_bytes,
            std::mt19937_64& random) {
  batch::BatchBuilder builder;
  const std::string payload(payload_bytes, 'x');
  for (std::size_t i = 0; i < kBatch; ++i) {
    const TimeUs at_us = now_us + kHour + TimeUs(random() % kHour);
    if (!builder.add({.payload = payload, .deliver_at_us = at_us})) std::abort();
  }
  SharedBytes bytes = builder.build({});
  harness.run([&] {
    const auto header = *batch::read_header(bytes.span());
    harness.partition().produce(header, std::move(bytes), 0, protocol::Acks::none,
                                Reply(harness.loop(), 0, 0, 0));
  });
  while (harness.loop().writes().waiting_bytes() > (16 << 20)) usleep(1'000);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::size_t rows = argc > 2 ? std::stoull(argv[2]) : 10'000'000;
  const std::size_t payload_bytes = argc > 3 ? std::stoull(argv[3]) : 100;
  doctest::Context context;
  context.setAsDefaultForAssertsOutOfTestCases();
  std::mt19937_64 random(1);
  const TimeUs now_us = net::wall_time_us();
  {
    PartitionHarness harness(open_shard(argv[1]));
    harness.subscribe();
    harness.open();
    Clock clock;
    for (std::size_t i = 0; i < rows; i += kBatch) append(harness, now_us, payload_bytes, random);
    if (!harness.until([&] { return harness.end() == rows; })) return 1;
    clock.report("written", harness);
  }
  const auto before = std::chrono::steady_clock::now();
  PartitionHarness harness(open_shard(argv[1]));
  harness.subscribe();
  harness.open();
  Clock clock;
  std::printf("restart %.2f s\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
  (void)harness.due({}, now_us + kHour + kHour / 100, 1'000);
  clock.report("first 1,000 read", harness);
  harness.tick(now_us);
  for (bool counted = false; !counted; usleep(10'000))
    harness.run([&] { counted = harness.partition().due_index().counted(); });
  clock.report("counted", harness);
  harness.run([&] { harness.partition().due_passed({now_us + 3 * kHour, 0}); });
  for (bool gone = false; !gone; usleep(10'000))
    harness.run([&] { gone = harness.partition().oldest_delayed() == kNoOffset; });
  clock.report("removed", harness);
  return 0;
}
