// Nanoseconds for each record of the two hot paths: building (client) and verifying (server).
#include <chrono>
#include <cstdio>
#include <string>

#include "protocol/batch/batch_builder.h"
#include "protocol/batch/batch_reader.h"

namespace {

using namespace andyx;

template <typename Work>
double best_ns_per_record(std::uint32_t records, Work&& work) {
  double best = 1e18;
  for (int round = 0; round < 200; ++round) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / records);
  }
  return best;
}

void measure(const char* name, batch::Compression compression, bool keyed) {
  constexpr std::uint32_t kRecords = 2'000;
  const std::string payload(100, 'p');
  batch::BatchBuilder builder(compression);
  SharedBytes built;
  const double build_ns = best_ns_per_record(kRecords, [&] {
    std::string key = "key-00000";
    for (std::uint32_t i = 0; i < kRecords; ++i) {
      key[8] = static_cast<char>('0' + i % 10);
      batch::RecordInput input{.payload = payload, .time_us = 1'700'000'000'000'000 + i};
      if (keyed) input.key = key;
      if (!builder.add(input)) std::abort();
    }
    built = builder.build({.producer_id = 1});
  });
  const double verify_ns = best_ns_per_record(kRecords, [&] {
    if (!batch::verify_batch(built.span())) std::abort();
  });
  std::printf("%-16s build %6.1f ns  verify %6.1f ns\n", name, build_ns, verify_ns);
}

}  // namespace

int main() {
  measure("plain", batch::Compression::kNone, false);
  measure("keyed", batch::Compression::kNone, true);
  measure("keyed, LZ4", batch::Compression::kLz4, true);
  measure("keyed, Zstd", batch::Compression::kZstd, true);
  return 0;
}
