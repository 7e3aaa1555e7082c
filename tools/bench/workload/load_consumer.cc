#include "tools/bench/workload/load_consumer.h"

#include <chrono>

#include "protocol/net/loop.h"

namespace andyx::bench {
namespace {

constexpr std::uint32_t kPollMs = 50;  // how soon a pause and the end are noticed

}  // namespace

SubscriptionCheck::SubscriptionCheck(std::uint32_t partitions, std::uint32_t producers) {
  for (std::uint32_t i = 0; i < partitions; ++i) {
    partitions_.push_back(std::make_unique<Partition>());
    partitions_.back()->producers.resize(producers);
  }
}

SubscriptionCheck::Locked SubscriptionCheck::partition(std::uint32_t index) {
  Partition& partition = *partitions_[index];
  return {std::unique_lock(partition.mutex), partition.producers};
}

LoadConsumer::LoadConsumer(client::Consumer consumer, std::uint32_t run, SubscriptionCheck* check)
    : consumer_(std::move(consumer)),
      run_(run),
      check_(check),
      wall_minus_monotonic_us_(net::wall_time_us() -
                               static_cast<std::int64_t>(net::monotonic_ns() / 1000)),
      thread_([this] { this->run(); }) {}

Result<std::unique_ptr<LoadConsumer>> LoadConsumer::open(client::Client& client,
                                                         client::ConsumerOptions options,
                                                         std::uint32_t run,
                                                         SubscriptionCheck* check) {
  auto consumer = client.subscribe(std::move(options));
  if (!consumer) return std::unexpected(consumer.error());
  return std::unique_ptr<LoadConsumer>(new LoadConsumer(std::move(*consumer), run, check));
}

void LoadConsumer::stop() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
}

std::optional<Error> LoadConsumer::error() const {
  const std::lock_guard lock(error_mutex_);
  return error_;
}

void LoadConsumer::run() {
  const Status consumed = consume();
  const Status confirmed = consumer_.close();
  if (consumed && confirmed) return;
  const std::lock_guard lock(error_mutex_);
  error_ = consumed ? confirmed.error() : consumed.error();
}

Status LoadConsumer::consume() {
  while (!stopped_) {
    if (paused_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    Result<client::MessageBatch> batch = consumer_.poll(kPollMs);
    if (!batch) return std::unexpected(batch.error());
    if (batch->empty()) continue;
    if (Status taken = take(*batch); !taken) return taken;
    consumer_.acknowledge(*batch);
  }
  return {};
}

Status LoadConsumer::take(client::MessageBatch& batch) {
  const std::uint64_t now_ns = net::monotonic_ns();
  const std::int64_t now_us = static_cast<std::int64_t>(now_ns / 1000) + wall_minus_monotonic_us_;
  std::optional<SubscriptionCheck::Locked> check;
  if (check_ != nullptr && batch.partition() < check_->partitions()) {
    check.emplace(check_->partition(batch.partition()));
  }
  std::uint64_t count = 0, foreign = 0;
  latency_.add([&](Histogram& histogram) {
    client::Message message;
    while (batch.next(message)) {
      ++count;
      if (check_ == nullptr) {
        const std::int64_t waited_us = now_us - message.time_us;
        histogram.add(waited_us > 0 ? static_cast<std::uint64_t>(waited_us) * 1000 : 0);
        continue;
      }
      const auto stamp = read_stamp(message.payload);
      if (!check || !stamp || stamp->run != run_ || stamp->producer >= check->producers.size()) {
        ++foreign;
        continue;
      }
      histogram.add(now_ns > stamp->due_ns ? now_ns - stamp->due_ns : 0);
      check->producers[stamp->producer].received(stamp->sequence);
    }
  });
  received_.fetch_add(count, std::memory_order_relaxed);
  foreign_.fetch_add(foreign, std::memory_order_relaxed);
  return batch.status();
}

}  // namespace andyx::bench
