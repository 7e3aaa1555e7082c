#include "tools/bench/suite_stage.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "protocol/net/loop.h"

namespace andyx::bench {
namespace {

constexpr std::chrono::milliseconds kSettleTurn{250};
constexpr unsigned kMaxSettleTurns = 40;
constexpr std::uint64_t kIdleUsPerTurn = 12'500;  // 5 % of a core
constexpr std::uint64_t kRssEveryNs = 50'000'000;
// A quarter of the default tail cache: what consumers may be behind, records' overhead included.
constexpr std::uint64_t kMaxBehindBytes = 16ull * 1024 * 1024;
constexpr std::uint64_t kRecordOverheadBytes = 16;

std::unexpected<Error> interrupted() {
  return fail(ErrorCode::kShuttingDown, "interrupted by a signal");
}

double seconds_between(std::uint64_t from_ns, std::uint64_t to_ns) {
  return to_ns > from_ns ? static_cast<double>(to_ns - from_ns) / 1e9 : 0;
}

std::uint64_t last_confirmed_ns(const Consumers& consumers) {
  std::uint64_t last = 0;
  for (const auto& consumer : consumers) last = std::max(last, consumer->last_confirmed_ns());
  return last;
}

}  // namespace

OwnTopic::OwnTopic(client::Client& control, std::string name)
    : control_(control), name_(std::move(name)) {}

OwnTopic::~OwnTopic() {
  const Status deleted = control_.admin().delete_topic(name_);
  if (deleted || deleted.error().code == ErrorCode::kUnknownTopic) return;
  std::fprintf(stderr, "andyx-bench: topic '%s' is left: %s\n", name_.c_str(),
               deleted.error().message.c_str());
}

SuiteStage::SuiteStage(const Options& options, client::Client& control)
    : options_(options), control_(control) {
  char name[64];
  std::snprintf(name, sizeof name, "andyx-bench-%016llx-",
                static_cast<unsigned long long>(random_run_id()));
  name_ = name;
}

Result<std::unique_ptr<OwnTopic>> SuiteStage::make_topic(const std::string& what,
                                                         std::uint32_t partitions) {
  if (stopped()) return interrupted();
  // Before the request: it may be done although its answer is lost.
  auto topic = std::make_unique<OwnTopic>(control_, name_ + what);
  const auto created = control_.admin().create_topic(topic->name(), partitions);
  if (!created) return std::unexpected(created.error());
  return topic;
}

Status SuiteStage::create_idle_subscriptions(const OwnTopic& topic, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (stopped()) return interrupted();
    const auto created =
        control_.admin().create_subscription(topic.name(), "idle-" + std::to_string(i), {});
    if (!created) return std::unexpected(created.error());
    show(i);
  }
  return {};
}

Result<client::NodeStatus> SuiteStage::settle() {
  auto last = control_.admin().node_status();
  for (unsigned turn = 0; last && turn < kMaxSettleTurns; ++turn) {
    if (stopped()) return interrupted();
    std::this_thread::sleep_for(kSettleTurn);
    auto now = control_.admin().node_status();
    if (!now) return now;
    const bool idle = now->cpu_us - last->cpu_us < kIdleUsPerTurn;
    last = std::move(now);
    if (idle) break;
  }
  return last;
}

Result<Load> SuiteStage::publish(const OwnTopic& topic, std::uint64_t messages,
                                 std::optional<double> most_s) {
  const auto before = control_.admin().node_status();
  if (!before) return std::unexpected(before.error());
  auto producers = open_producers(options_on(topic, messages), std::nullopt);
  if (!producers) return std::unexpected(producers.error());
  ProducerWorker& producer = *producers->front();
  const std::uint64_t opened_ns = net::monotonic_ns();
  Threads threads;
  threads.start(*producers);
  threads.wait([&] {
    show(producer.acked());
    const double elapsed_s = seconds_between(opened_ns, net::monotonic_ns());
    if (stopped() || (most_s && elapsed_s > *most_s)) producer.stop();
  });
  if (Status good = outcome(*producers, {}); !good) return std::unexpected(good.error());
  return with_cpu({.messages = producer.acked(),
                   .elapsed_s = seconds_between(producer.started_ns(), producer.last_ack_ns())},
                  before->cpu_us);
}

Result<Load> SuiteStage::publish_consumed(const OwnTopic& topic, std::uint64_t messages,
                                          std::uint32_t count) {
  Options options = options_on(topic, messages);
  options.consumers = count;
  options.type = client::SubscriptionType::kShared;
  options.mode = client::SubscriptionMode::kNonresilient;
  const RunSubscription subscription(options, control_, random_run_id());
  ConsumeGoal goal;
  goal.wanted = messages;
  auto consumers = open_consumers(options, subscription.name(), client::Start::latest(), goal, {});
  if (!consumers) return std::unexpected(consumers.error());
  auto producers = open_producers(options, std::nullopt);
  if (!producers) return std::unexpected(producers.error());
  ProducerWorker& producer = *producers->front();
  const auto before = control_.admin().node_status();
  if (!before) return std::unexpected(before.error());

  const std::uint64_t most_behind = kMaxBehindBytes / (options.size_bytes + kRecordOverheadBytes);
  const auto turn = [&] {
    show(goal.consumed);
    producer.hold(producer.acked() > goal.consumed + most_behind);
    if (stopped()) goal.stop = true;
    if (goal.stop) producer.stop();
  };
  Threads consuming;
  consuming.start(*consumers);
  Threads producing;
  producing.start(*producers);
  producing.wait(turn);
  goal.wanted = producer.acked();
  consuming.wait(turn);
  if (Status good = outcome(*producers, *consumers); !good) return std::unexpected(good.error());
  return with_cpu(
      {.messages = goal.consumed,
       .elapsed_s = seconds_between(producer.started_ns(), last_confirmed_ns(*consumers))},
      before->cpu_us);
}

Result<Drained> SuiteStage::drain(const OwnTopic& topic, const std::string& subscription,
                                  std::uint64_t messages) {
  const auto before = control_.admin().node_status();
  if (!before) return std::unexpected(before.error());
  ConsumeGoal goal;
  goal.wanted = messages;
  const std::uint64_t started_ns = net::monotonic_ns();
  auto consumers = open_consumers(options_on(topic, messages), subscription,
                                  client::Start::earliest(), goal, std::nullopt);
  if (!consumers) return std::unexpected(consumers.error());
  Drained drained;
  std::uint64_t sampled_ns = 0;
  Threads threads;
  threads.start(*consumers);
  threads.wait([&] {
    show(goal.consumed);
    if (stopped()) goal.stop = true;
    if (net::monotonic_ns() - sampled_ns < kRssEveryNs) return;
    if (const auto now = control_.admin().node_status()) {
      drained.rss_peak_bytes = std::max(drained.rss_peak_bytes, now->rss_bytes);
    }
    sampled_ns = net::monotonic_ns();
  });
  if (Status good = outcome({}, *consumers); !good) return std::unexpected(good.error());
  const auto load =
      with_cpu({.messages = goal.consumed,
                .elapsed_s = seconds_between(started_ns, last_confirmed_ns(*consumers))},
               before->cpu_us);
  if (!load) return std::unexpected(load.error());
  drained.load = *load;
  return drained;
}

Options SuiteStage::options_on(const OwnTopic& topic, std::uint64_t messages) const {
  Options options = options_;
  options.topic = topic.name();
  options.messages = messages;
  options.subscription.clear();
  return options;
}

Status SuiteStage::outcome(const Producers& producers, const Consumers& consumers) const {
  if (stopped()) return interrupted();
  for (const auto& producer : producers) {
    if (producer->error()) return std::unexpected(*producer->error());
  }
  for (const auto& consumer : consumers) {
    if (consumer->error()) return std::unexpected(*consumer->error());
  }
  return {};
}

Result<Load> SuiteStage::with_cpu(Load load, std::uint64_t cpu_before_us) {
  const auto after = settle();
  if (!after) return std::unexpected(after.error());
  load.cpu_us = after->cpu_us - cpu_before_us;
  return load;
}

void SuiteStage::show(std::uint64_t done) {
  progress_.update([&] { return doing_ + ": " + tools::short_count(static_cast<double>(done)); });
}

}  // namespace andyx::bench
