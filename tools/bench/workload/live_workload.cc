#include "tools/bench/workload/live_workload.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "protocol/net/loop.h"
#include "tools/bench/connect.h"
#include "tools/bench/workers.h"

namespace andyx::bench {
namespace {

constexpr std::uint32_t kMaxClients =
    8;  // of producers, and of consumers, unless one asks for more
constexpr std::chrono::milliseconds kInSyncEvery{100};

std::uint32_t or_default(std::uint32_t asked, std::uint32_t most, std::uint32_t needed) {
  return std::max(1u, std::min(asked != 0 ? asked : most, needed));
}

Result<std::vector<client::Client>> connect_all(const Options& options, std::uint32_t count) {
  std::vector<client::Client> clients;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto client = connect(options);
    if (!client) return std::unexpected(client.error());
    clients.push_back(std::move(*client));
  }
  return clients;
}

}  // namespace

std::uint64_t LoadCounts::backlog(std::uint32_t subscriptions) const {
  const std::uint64_t due = acked * subscriptions;
  return due > received ? due - received : 0;
}

LiveWorkload::LiveWorkload(const Options& options, const Workload& workload,
                           client::Client& control)
    : options_(options),
      workload_(workload),
      control_(control),
      run_(static_cast<std::uint32_t>(random_run_id())) {}

Result<std::unique_ptr<LiveWorkload>> LiveWorkload::create(const Options& options,
                                                           const Workload& workload,
                                                           const std::string& directory,
                                                           client::Client& control) {
  std::unique_ptr<LiveWorkload> load(new LiveWorkload(options, workload, control));
  Result<Payloads> payloads = make_payloads(workload, directory, load->run_);
  if (!payloads) return std::unexpected(payloads.error());
  load->payloads_ = std::move(*payloads);
  for (const auto step : {&LiveWorkload::make_topics, &LiveWorkload::open_clients,
                          &LiveWorkload::open_consumers, &LiveWorkload::open_producers}) {
    if (Status done = ((*load).*step)(); !done) return std::unexpected(done.error());
  }
  return load;
}

LiveWorkload::~LiveWorkload() {
  senders_.clear();
  producers_.clear();
  consumers_.clear();
  producer_clients_.clear();
  consumer_clients_.clear();
  for (const std::string& topic : topics_) {
    const Status deleted = control_.admin().delete_topic(topic);
    if (deleted || deleted.error().code == ErrorCode::kUnknownTopic) continue;
    std::fprintf(stderr, "andyx-bench: topic '%s' is left: %s\n", topic.c_str(),
                 deleted.error().message.c_str());
  }
}

Status LiveWorkload::make_topics() {
  for (std::uint32_t i = 0; i < workload_.topics; ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "andyx-bench-%08x-%u", run_, i);
    topics_.push_back(name);  // before the request: it may be done although its answer is lost
    const auto made = control_.admin().create_topic(
        name, client::TopicSpec{.partitions = workload_.partitions_per_topic,
                                .replication_factor = options_.replication_factor});
    if (!made) return std::unexpected(made.error());
  }
  for (const std::string& topic : topics_) {
    if (Status ready = wait_in_sync(topic); !ready) return ready;
  }
  return {};
}

Status LiveWorkload::wait_in_sync(const std::string& topic) {
  const std::uint64_t until_ns =
      net::monotonic_ns() + std::uint64_t{options_.timeout_ms} * 1'000'000;
  while (true) {
    const auto info = control_.admin().describe_topic(topic);
    if (!info) return std::unexpected(info.error());
    replication_factor_ = static_cast<std::uint32_t>(info->partitions.front().replicas.size());
    const bool ready = std::ranges::all_of(info->partitions, [](const auto& partition) {
      return partition.main != 0 && partition.in_sync.size() == partition.replicas.size();
    });
    if (ready) return {};
    if (net::monotonic_ns() > until_ns) {
      return fail(ErrorCode::kTimedOut, "the copies of '" + topic + "' did not come in sync");
    }
    std::this_thread::sleep_for(kInSyncEvery);
  }
}

Status LiveWorkload::open_clients() {
  const std::uint32_t asked = options_.workload.connections;
  auto producing =
      connect_all(options_, or_default(asked, kMaxClients, workload_.total_producers()));
  if (!producing) return std::unexpected(producing.error());
  producer_clients_ = std::move(*producing);
  if (workload_.total_consumers() == 0) return {};
  auto consuming =
      connect_all(options_, or_default(asked, kMaxClients, workload_.total_consumers()));
  if (!consuming) return std::unexpected(consuming.error());
  consumer_clients_ = std::move(*consuming);
  return {};
}

client::ConsumerOptions LiveWorkload::consumer_options(std::uint32_t topic,
                                                       std::uint32_t subscription) const {
  client::ConsumerOptions consumer;
  consumer.topic = topics_[topic];
  consumer.subscription = "andyx-bench-" + std::to_string(subscription);
  // As consumer groups elsewhere: each partition goes to one of the consumers.
  const auto fitting = workload_.consumers_per_subscription == 1
                           ? client::SubscriptionType::kUnique
                           : client::SubscriptionType::kFailover;
  consumer.type = options_.workload.type.value_or(fitting);
  consumer.mode = options_.mode;
  consumer.start = client::Start::earliest();
  consumer.answer_timeout_ms = options_.timeout_ms;
  return consumer;
}

Status LiveWorkload::open_consumers() {
  for (std::uint32_t topic = 0; topic < workload_.topics; ++topic) {
    for (std::uint32_t s = 0; s < workload_.subscriptions_per_topic; ++s) {
      checks_.push_back(std::make_unique<SubscriptionCheck>(workload_.partitions_per_topic,
                                                            workload_.producers_per_topic));
      SubscriptionCheck* check = payloads_.stamped() ? checks_.back().get() : nullptr;
      for (std::uint32_t i = 0; i < workload_.consumers_per_subscription; ++i) {
        client::Client& client = consumer_clients_[consumers_.size() % consumer_clients_.size()];
        auto consumer = LoadConsumer::open(client, consumer_options(topic, s), run_, check);
        if (!consumer) return std::unexpected(consumer.error());
        consumers_.push_back(std::move(*consumer));
      }
    }
  }
  return {};
}

Status LiveWorkload::open_producers() {
  for (std::uint32_t i = 0; i < workload_.total_producers(); ++i) {
    LoadProducer::Setup setup;
    setup.topic_index = i % workload_.topics;
    setup.topic = topics_[setup.topic_index];
    setup.producer_index = i / workload_.topics;
    setup.run = run_;
    setup.key_distributor = workload_.key_distributor;
    setup.options.acks = options_.acks;
    setup.options.compression = options_.compression;
    setup.options.linger_ms = options_.linger_ms;
    setup.options.batch_bytes = options_.batch_bytes;
    setup.options.buffer_bytes = options_.buffer_bytes;
    setup.options.delivery_timeout_ms = options_.timeout_ms;
    client::Client& client = producer_clients_[i % producer_clients_.size()];
    auto producer = LoadProducer::open(client, payloads_, std::move(setup));
    if (!producer) return std::unexpected(producer.error());
    producers_.push_back(std::move(*producer));
  }
  const std::uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::vector<LoadProducer*>> shares(
      or_default(options_.workload.threads, cores, workload_.total_producers()));
  for (std::size_t i = 0; i < producers_.size(); ++i) {
    shares[i % shares.size()].push_back(producers_[i].get());
  }
  for (auto& share : shares) senders_.push_back(std::make_unique<LoadSender>(std::move(share)));
  return {};
}

void LiveWorkload::set_rate(double messages_per_s) {
  const bool shared = messages_per_s < LoadSender::kClosedLoop;
  for (const auto& sender : senders_) {
    sender->set_rate(shared ? messages_per_s / static_cast<double>(senders_.size())
                            : messages_per_s);
  }
}

void LiveWorkload::pause_consumers(bool paused) {
  for (const auto& consumer : consumers_) consumer->pause(paused);
}

LoadCounts LiveWorkload::counts() const {
  LoadCounts counts;
  // Received first: what is acknowledged meanwhile must not seem to have been received before.
  for (const auto& consumer : consumers_) counts.received += consumer->received();
  for (const auto& producer : producers_) {
    counts.sent += producer->sent();
    counts.acked += producer->acked();
    counts.failed += producer->failed();
  }
  return counts;
}

void LiveWorkload::take_latencies(Histogram& publish, Histogram& delay, Histogram& end_to_end) {
  for (const auto& producer : producers_) producer->latency().take(publish);
  for (const auto& sender : senders_) sender->delay().take(delay);
  for (const auto& consumer : consumers_) consumer->latency().take(end_to_end);
}

std::optional<Error> LiveWorkload::error() const {
  for (const auto& producer : producers_) {
    if (auto error = producer->first_error()) return error;
  }
  for (const auto& sender : senders_) {
    if (auto error = sender->error()) return error;
  }
  for (const auto& consumer : consumers_) {
    if (auto error = consumer->error()) return error;
  }
  return std::nullopt;
}

Status LiveWorkload::stop_sending() {
  for (const auto& sender : senders_) sender->stop();
  for (const auto& producer : producers_) {
    if (Status flushed = producer->flush(); !flushed) return flushed;
  }
  return {};
}

void LiveWorkload::stop_consuming() {
  for (const auto& consumer : consumers_) consumer->stop();
}

LoadChecks LiveWorkload::checks() {
  LoadChecks checks;
  checks.checked = payloads_.stamped() && !consumers_.empty();
  for (const auto& consumer : consumers_) checks.foreign += consumer->foreign();
  if (!checks.checked) {
    checks.lost = counts().backlog(workload_.subscriptions_per_topic);
    return checks;
  }
  for (const auto& producer : producers_) {
    const auto acked = producer->acked_by_partition();
    for (std::uint32_t s = 0; s < workload_.subscriptions_per_topic; ++s) {
      SubscriptionCheck& subscription =
          *checks_[producer->topic_index() * workload_.subscriptions_per_topic + s];
      for (std::uint32_t p = 0; p < acked.size() && p < subscription.partitions(); ++p) {
        auto locked = subscription.partition(p);
        const SequenceCheck& check = locked.producers[producer->producer_index()];
        checks.lost += check.missing(acked[p]);
        checks.duplicates += check.duplicates();
        checks.reordered += check.reordered();
      }
    }
  }
  return checks;
}

}  // namespace andyx::bench
