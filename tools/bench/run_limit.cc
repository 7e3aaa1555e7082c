#include <algorithm>

#include "tools/bench/limit.h"
#include "tools/bench/run.h"
#include "tools/common/progress.h"

namespace andyx::bench {
namespace {

constexpr std::uint64_t kBatchesInFlight = 10;  // of each partition: as the producer's default
constexpr std::uint64_t kPartitions = 4;  // of the run that `limit` is compared with, by default
constexpr double kSecondsBesideARun = 3;

}  // namespace

Result<RunResult> run_limit_command(const Options& options) {
  tools::Progress progress;
  LimitOptions limit;
  limit.directory = options.directory;
  limit.message_bytes = options.size_bytes;
  limit.batch_bytes = std::max(options.batch_bytes, options.size_bytes);
  limit.window_bytes = options.window_bytes != 0
                           ? options.window_bytes
                           : kPartitions * kBatchesInFlight * limit.batch_bytes;
  if (options.one_at_a_time) limit.batch_bytes = limit.window_bytes = options.size_bytes;
  limit.to_disk = !options.loopback_only;
  limit.messages = options.messages;
  limit.seconds = options.seconds_or_default();
  limit.rate = static_cast<double>(options.rate);
  limit.write_factor = options.write_factor.value_or(1);
  limit.on_progress = [&progress](std::uint64_t bytes) {
    progress.update([bytes] {
      return "limit: " + tools::short_bytes(static_cast<double>(bytes)) + " acknowledged";
    });
  };
  const Result<LimitResult> found = run_limit(limit);
  if (!found) return std::unexpected(found.error());
  RunResult result;
  Report& report = result.report;
  report.command = "limit";
  report.messages_acked = found->messages;
  report.bytes = found->bytes;
  report.elapsed_s = found->elapsed_s;
  report.write_factor = limit.to_disk ? limit.write_factor : 0;
  if (found->latency.count() > 0) {
    report.latency_of = limit.rate > 0 ? "when a message was due to its acknowledgement"
                                       : "a message to its acknowledgement";
    report.latency = found->latency;
  }
  if (options.rate != 0) report.details.emplace_back("rate", options.rate);
  report.details.insert(report.details.end(), {{"message_bytes", limit.message_bytes},
                                               {"batch_bytes", limit.batch_bytes},
                                               {"window_bytes", limit.window_bytes},
                                               {"batches", found->batches},
                                               {"syncs", found->syncs},
                                               {"written_bytes", found->written_bytes}});
  return result;
}

Result<Report> limit_beside(const Options& options, std::uint32_t partitions,
                            std::optional<double> write_factor) {
  Options limit = options;
  limit.write_factor = write_factor;
  limit.directory = options.limit_directory;
  if (options.rate == 0) {
    limit.messages = 0;
    limit.seconds = kSecondsBesideARun;
  }
  const std::uint64_t batch_bytes = std::max(options.batch_bytes, options.size_bytes);
  limit.window_bytes =
      std::uint64_t{options.producers} * partitions * kBatchesInFlight * batch_bytes;
  auto found = run_limit_command(limit);
  if (!found) return std::unexpected(found.error());
  return std::move(found->report);
}

}  // namespace andyx::bench
