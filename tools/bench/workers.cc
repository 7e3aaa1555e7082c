#include "tools/bench/workers.h"

#include <algorithm>
#include <cstdio>
#include <random>

#include "tools/common/choices.h"

namespace andyx::bench {
namespace {

void add_error(RunResult& result, std::uint64_t count, const std::optional<Error>& error) {
  result.report.errors += count;
  if (!error || result.error) return;
  result.error = error;
  result.report.first_error = std::string(error->name()) + ": " + error->message;
}

}  // namespace

Result<std::uint32_t> ensure_topic(const Options& options, client::Client& control) {
  auto topic = control.admin().describe_topic(options.topic);
  if (!topic && topic.error().code == ErrorCode::kUnknownTopic) {
    topic = control.admin().create_topic(
        options.topic, client::TopicSpec{.partitions = options.partitions,
                                         .replication_factor = options.replication_factor});
  }
  if (!topic) return std::unexpected(topic.error());
  return static_cast<std::uint32_t>(topic->partitions.size());
}

Result<Producers> open_producers(const Options& options, std::optional<std::uint64_t> run) {
  Producers producers;
  for (std::uint32_t i = 0; i < options.producers; ++i) {
    ProducerWorker::Work work;
    work.run = run;
    work.rate = static_cast<double>(options.rate) / options.producers;
    work.seconds = options.seconds_or_default();
    work.one_at_a_time = options.one_at_a_time;
    if (options.messages != 0) {
      work.messages =
          options.messages / options.producers + (i < options.messages % options.producers ? 1 : 0);
      if (work.messages == 0) break;
    }
    auto producer = ProducerWorker::open(options, work);
    if (!producer) return std::unexpected(producer.error());
    producers.push_back(std::move(*producer));
  }
  return producers;
}

std::uint64_t total_acked(const Producers& producers) {
  std::uint64_t acked = 0;
  for (const auto& producer : producers) acked += producer->acked();
  return acked;
}

void add_producers(RunResult& result, const Producers& producers, const Options& options) {
  Report& report = result.report;
  std::uint64_t started_ns = ~std::uint64_t{0};
  std::uint64_t last_ack_ns = 0;
  for (const auto& producer : producers) {
    started_ns = std::min(started_ns, producer->started_ns());
    last_ack_ns = std::max(last_ack_ns, producer->last_ack_ns());
    report.messages_acked += producer->acked();
    add_error(result, producer->failed(), producer->error());
    report.latency.merge(producer->ack_latency());
  }
  report.latency_of = options.one_at_a_time ? "a message to its acknowledgement"
                                            : "first message of a batch to its acknowledgement";
  report.acks = tools::acks_choices().word_of(options.acks);
  report.bytes = report.messages_acked * options.size_bytes;
  if (last_ack_ns > started_ns) {
    report.elapsed_s = static_cast<double>(last_ack_ns - started_ns) / 1e9;
  }
  report.details.insert(report.details.end(), {{"message_bytes", options.size_bytes},
                                               {"batch_bytes", options.batch_bytes},
                                               {"producers", producers.size()},
                                               {"partitions", producers.front()->partitions()}});
}

RunSubscription::RunSubscription(const Options& options, client::Client& control, std::uint64_t run)
    : control_(control),
      topic_(options.topic),
      name_(options.subscription),
      own_(options.subscription.empty()) {
  if (!own_) return;
  char name[64];
  std::snprintf(name, sizeof name, "andyx-bench-%016llx", static_cast<unsigned long long>(run));
  name_ = name;
}

RunSubscription::~RunSubscription() {
  // Nothing to be done when it fails: the run is over, and the server may be gone.
  if (own_) static_cast<void>(control_.admin().delete_subscription(topic_, name_));
}

Result<Consumers> open_consumers(const Options& options, const std::string& subscription,
                                 client::Start start, ConsumeGoal& goal,
                                 std::optional<std::uint64_t> run) {
  Consumers consumers;
  for (std::uint32_t i = 0; i < options.consumers; ++i) {
    auto consumer = ConsumerWorker::open(options, subscription, start, goal, run);
    if (!consumer) return std::unexpected(consumer.error());
    consumers.push_back(std::move(*consumer));
  }
  return consumers;
}

void add_consumers(RunResult& result, const Consumers& consumers, const ConsumeGoal& goal) {
  result.report.messages_consumed = goal.consumed;
  for (const auto& consumer : consumers) {
    add_error(result, consumer->error() ? 1 : 0, consumer->error());
  }
  result.report.details.emplace_back("consumers", consumers.size());
}

std::uint64_t random_run_id() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

std::optional<bool> server_fsync(client::Client& control) {
  const auto status = control.admin().node_status();
  if (!status || status->storage.empty()) return std::nullopt;
  return std::ranges::all_of(status->storage, [](const auto& shard) { return shard.fsync; });
}

}  // namespace andyx::bench
