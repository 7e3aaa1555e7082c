#include "tools/bench/run_suite.h"

#include <algorithm>

#include "tools/bench/suite_stage.h"

namespace andyx::bench {
namespace {

constexpr std::uint32_t kPartitions = 4;
constexpr unsigned kSharedPairs = 2;
constexpr unsigned kIdlePairs = 5;    // the goal is a tenth: more than the noise of one run
constexpr double kMostSeconds = 10;   // of one run where only the rate counts
constexpr std::uint64_t kWarmUp = 8;  // a run for warming up has this part of the messages
constexpr double kMostAddedUs = 0.5;
constexpr double kLeastRateRatio = 0.9;

using Rows = std::vector<SuiteRow>;

std::string counted(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

// Runs both in turn, `pairs` times, after one short run of each.
template <typename RunWithout, typename RunWith>
Status alternate(unsigned pairs, std::uint64_t messages, RunWithout without, RunWith with,
                 std::vector<Load>& loads_without, std::vector<Load>& loads_with) {
  for (unsigned pair = 0; pair <= pairs; ++pair) {
    const bool warm_up = pair == 0;
    const std::uint64_t count = warm_up ? std::max<std::uint64_t>(messages / kWarmUp, 1) : messages;
    const Result<Load> one = without(count);
    if (!one) return std::unexpected(one.error());
    const Result<Load> other = with(count);
    if (!other) return std::unexpected(other.error());
    if (warm_up) continue;
    loads_without.push_back(*one);
    loads_with.push_back(*other);
  }
  return {};
}

Status run_shared(SuiteStage& stage, Rows& rows) {
  const auto topic = stage.make_topic("shared", kPartitions);
  if (!topic) return std::unexpected(topic.error());
  for (const std::uint32_t consumers : {1u, 4u}) {
    std::vector<Load> without, with;
    const Status ran = alternate(
        kSharedPairs, stage.options().suite.messages,
        [&](std::uint64_t messages) {
          stage.say("shared: produced alone");
          return stage.publish(**topic, messages);
        },
        [&](std::uint64_t messages) {
          stage.say("shared: consumed by " + std::to_string(consumers));
          return stage.publish_consumed(**topic, messages, consumers);
        },
        without, with);
    if (!ran) return ran;
    SuiteRow row;
    row.part = "shared";
    row.load = counted(consumers, "consumer");
    set_runs(row, std::move(with), std::move(without));
    row.added_cpu_us = *row.cpu_us - *row.without_cpu_us;
    row.goal = "ADDED-US < 0.5";
    row.met = *row.added_cpu_us < kMostAddedUs;
    rows.push_back(std::move(row));
  }
  return {};
}

// Publishing to two equal topics in turn, one of them with `subscriptions` that nobody consumes.
Status run_idle(SuiteStage& stage, Rows& rows, SuiteRow row, std::uint32_t partitions,
                std::uint32_t subscriptions) {
  const auto plain = stage.make_topic(row.part + "-without", partitions);
  if (!plain) return std::unexpected(plain.error());
  const auto subscribed = stage.make_topic(row.part + "-with", partitions);
  if (!subscribed) return std::unexpected(subscribed.error());
  const auto before = stage.settle();
  if (!before) return std::unexpected(before.error());
  stage.say(row.part + ": subscriptions created");
  if (Status made = stage.create_idle_subscriptions(**subscribed, subscriptions); !made)
    return made;
  const auto after = stage.settle();
  if (!after) return std::unexpected(after.error());
  row.rss_before_bytes = before->rss_bytes;
  row.rss_after_bytes = after->rss_bytes;
  row.bytes_each =
      (static_cast<double>(after->rss_bytes) - static_cast<double>(before->rss_bytes)) /
      (static_cast<double>(subscriptions) * partitions);

  std::vector<Load> without, with;
  const auto publish_to = [&stage, &row](const OwnTopic& topic) {
    return [&stage, &row, &topic](std::uint64_t messages) {
      stage.say(row.part + ": published to " + topic.name());
      return stage.publish(topic, messages, kMostSeconds);
    };
  };
  const Status ran = alternate(kIdlePairs, stage.options().suite.messages, publish_to(**plain),
                               publish_to(**subscribed), without, with);
  if (!ran) return ran;
  set_runs(row, std::move(with), std::move(without));
  row.goal = "RATIO >= 0.90";
  row.met = *row.rate_ratio() >= kLeastRateRatio;
  rows.push_back(std::move(row));
  return {};
}

Status run_many_subscriptions(SuiteStage& stage, Rows& rows) {
  const std::uint32_t count = stage.options().suite.subscriptions;
  SuiteRow row;
  row.part = "many-subscriptions";
  row.load = counted(count, "subscription");
  return run_idle(stage, rows, std::move(row), kPartitions, count);
}

Status run_many_partitions(SuiteStage& stage, Rows& rows) {
  const std::uint32_t count = stage.options().suite.partitions;
  SuiteRow row;
  row.part = "many-partitions";
  row.load = counted(count, "partition");
  return run_idle(stage, rows, std::move(row), count, 1);
}

Status run_backlog(SuiteStage& stage, Rows& rows) {
  const Options& options = stage.options();
  const std::string subscription = "waits";
  const auto topic = stage.make_topic("backlog", kPartitions);
  if (!topic) return std::unexpected(topic.error());
  const auto made = stage.control().admin().create_subscription(
      (*topic)->name(), subscription,
      {.mode = client::SubscriptionMode::kNonresilient, .start = client::Start::earliest()});
  if (!made) return std::unexpected(made.error());
  const auto before = stage.settle();
  if (!before) return std::unexpected(before.error());
  stage.say("backlog: produced");
  const std::uint64_t messages = std::max<std::uint64_t>(
      options.suite.backlog_bytes / std::max<std::uint64_t>(options.size_bytes, 1), 1);
  const auto produced = stage.publish(**topic, messages);
  if (!produced) return std::unexpected(produced.error());
  const auto full = stage.settle();
  if (!full) return std::unexpected(full.error());
  stage.say("backlog: drained");
  const auto drained = stage.drain(**topic, subscription, messages);
  if (!drained) return std::unexpected(drained.error());
  SuiteRow row;
  row.part = "backlog";
  row.load = tools::short_bytes(static_cast<double>(messages * options.size_bytes));
  row.messages_per_s = drained->load.messages_per_s();
  row.cpu_us = drained->load.cpu_us_per_message();
  row.bytes_per_s = row.messages_per_s * static_cast<double>(options.size_bytes);
  row.rss_before_bytes = before->rss_bytes;
  row.rss_after_bytes = full->rss_bytes;
  row.rss_peak_bytes = drained->rss_peak_bytes;
  rows.push_back(std::move(row));
  return {};
}

Status run_part(SuitePart part, SuiteStage& stage, Rows& rows) {
  switch (part) {
    case SuitePart::kShared:
      return run_shared(stage, rows);
    case SuitePart::kManySubscriptions:
      return run_many_subscriptions(stage, rows);
    case SuitePart::kManyPartitions:
      return run_many_partitions(stage, rows);
    case SuitePart::kBacklog:
      return run_backlog(stage, rows);
  }
  return fail(ErrorCode::kInternal, "no such part");
}

}  // namespace

SuiteResult run_suite(const Options& options, client::Client& control) {
  SuiteResult result;
  result.report.messages = options.suite.messages;
  result.report.message_bytes = options.size_bytes;
  result.report.fsync = server_fsync(control);
  SuiteStage stage(options, control);
  for (const SuitePart part : options.suite.parts) {
    const Status ran = run_part(part, stage, result.report.rows);
    if (ran) continue;
    result.error = ran.error();
    result.report.first_error = std::string(ran.error().name()) + ": " + ran.error().message;
    break;
  }
  result.interrupted = stage.stopped();
  return result;
}

}  // namespace andyx::bench
