#include <algorithm>

#include "protocol/net/loop.h"
#include "tools/bench/run.h"
#include "tools/bench/workers.h"

namespace andyx::bench {
namespace {

std::string count_text(const char* what, std::uint64_t count) {
  return std::string(what) + ' ' + tools::short_count(static_cast<double>(count)) + " messages";
}

// The machine writing as many bytes as the server does for the same messages.
Status add_limit_of_writes(Report& report, const Options& options, std::uint32_t partitions) {
  if (!options.write_factor) return {};
  const auto limit = limit_beside(options, partitions, options.write_factor);
  if (!limit) return std::unexpected(limit.error());
  report.write_factor = options.write_factor;
  report.limit_of_writes_share = report.messages_per_s() / limit->messages_per_s();
  report.limit_of_writes_messages_per_s = limit->messages_per_s();
  return {};
}

void set_limit(Report& report, double limit_messages_per_s) {
  report.limit_messages_per_s = limit_messages_per_s;
  report.limit_share = report.messages_per_s() / limit_messages_per_s;
}

// Runs `load` between two runs of `limit`: as fast as possible, to compare the rates with their
// mean; at a rate, to compare latencies with those of both.
template <typename Load>
Result<RunResult> between_limits(const Options& options, std::uint32_t partitions, Load load) {
  const bool at_rate = options.rate != 0;
  const auto write_factor = at_rate ? options.write_factor : std::nullopt;
  const auto before = limit_beside(options, partitions, write_factor);
  if (!before) return std::unexpected(before.error());
  Result<RunResult> result = load();
  if (!result) return result;
  const auto after = limit_beside(options, partitions, write_factor);
  if (!after) return std::unexpected(after.error());
  Report& report = result->report;
  if (at_rate) {
    report.limit_latency = before->latency;
    report.limit_latency.merge(after->latency);
    report.write_factor = write_factor;
    return result;
  }
  set_limit(report, (before->messages_per_s() + after->messages_per_s()) / 2);
  const Status added = add_limit_of_writes(report, options, partitions);
  if (!added) return std::unexpected(added.error());
  return result;
}

template <typename Load>
Result<RunResult> beside_limit(const Options& options, std::uint32_t partitions, Load load) {
  if (!options.limit_directory.empty()) return between_limits(options, partitions, load);
  if (options.limit_file.empty()) return load();
  const auto saved = read_limit_messages_per_s(options.limit_file);
  if (!saved) return std::unexpected(saved.error());
  Result<RunResult> result = load();
  if (result) set_limit(result->report, *saved);
  return result;
}

}  // namespace

Result<RunResult> run_produce(const Options& options, client::Client& control) {
  const auto partitions = ensure_topic(options, control);
  if (!partitions) return std::unexpected(partitions.error());
  return beside_limit(options, *partitions, [&]() -> Result<RunResult> {
    auto producers = open_producers(options, std::nullopt);
    if (!producers) return std::unexpected(producers.error());
    {
      tools::Progress progress;
      Threads threads;
      threads.start(*producers);
      threads.wait([&] {
        progress.update([&] { return count_text("acknowledged", total_acked(*producers)); });
      });
    }
    RunResult result;
    result.report.command = "produce";
    add_producers(result, *producers, options);
    result.report.fsync = server_fsync(control);
    return result;
  });
}

Result<RunResult> run_consume(const Options& options, client::Client& control) {
  const auto partitions = ensure_topic(options, control);
  if (!partitions) return std::unexpected(partitions.error());
  const RunSubscription subscription(options, control, random_run_id());
  ConsumeGoal goal;
  const std::uint64_t started_ns = net::monotonic_ns();
  auto consumers =
      open_consumers(options, subscription.name(), client::Start::earliest(), goal, std::nullopt);
  if (!consumers) return std::unexpected(consumers.error());
  if (options.messages != 0) {
    goal.wanted = options.messages;
  } else if (!options.seconds) {
    const auto info = control.admin().describe_subscription(options.topic, subscription.name());
    if (!info) return std::unexpected(info.error());
    std::uint64_t lag = 0;
    for (const auto& partition : info->partitions) lag += partition.lag_messages;
    goal.wanted = lag;
  }
  {
    tools::Progress progress;
    Threads threads;
    threads.start(*consumers);
    threads.wait([&] {
      progress.update([&] { return count_text("consumed", goal.consumed); });
      const auto elapsed_ns = static_cast<double>(net::monotonic_ns() - started_ns);
      if (options.seconds && elapsed_ns >= *options.seconds * 1e9) goal.stop = true;
    });
  }
  RunResult result;
  result.report.command = "consume";
  add_consumers(result, *consumers, goal);
  std::uint64_t ended_ns = started_ns;
  for (const auto& consumer : *consumers) {
    ended_ns = std::max(ended_ns, consumer->last_confirmed_ns());
    result.report.bytes += consumer->bytes();
  }
  result.report.elapsed_s = static_cast<double>(ended_ns - started_ns) / 1e9;
  result.report.details.emplace_back("partitions", *partitions);
  result.report.fsync = server_fsync(control);
  return result;
}

Result<RunResult> run_end_to_end(const Options& options, client::Client& control) {
  const auto partitions = ensure_topic(options, control);
  if (!partitions) return std::unexpected(partitions.error());
  return beside_limit(options, *partitions, [&]() -> Result<RunResult> {
    const std::uint64_t run = random_run_id();
    const RunSubscription subscription(options, control, run);
    ConsumeGoal goal;
    auto consumers =
        open_consumers(options, subscription.name(), client::Start::latest(), goal, run);
    if (!consumers) return std::unexpected(consumers.error());
    auto producers = open_producers(options, run);
    if (!producers) return std::unexpected(producers.error());

    tools::Progress progress;
    const auto show = [&] {
      progress.update([&] {
        return count_text("acknowledged", total_acked(*producers)) + ", " +
               count_text("consumed", goal.consumed);
      });
    };
    Threads consuming;
    consuming.start(*consumers);
    Threads producing;
    producing.start(*producers);
    producing.wait([&] {
      show();
      if (goal.stop) {
        for (const auto& producer : *producers) producer->stop();
      }
    });
    goal.wanted = total_acked(*producers);
    consuming.wait(show);
    progress.clear();

    RunResult result;
    result.report.command = "end-to-end";
    add_producers(result, *producers, options);
    add_consumers(result, *consumers, goal);
    result.report.latency = {};
    result.report.latency_of =
        options.rate != 0 ? "when a message was due to its receipt" : "send to receipt";
    for (const auto& consumer : *consumers) result.report.latency.merge(consumer->latency());
    result.report.fsync = server_fsync(control);
    return result;
  });
}

}  // namespace andyx::bench
