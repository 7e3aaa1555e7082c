#include "tools/bench/consumer_worker.h"

#include <cstring>

#include "protocol/net/loop.h"
#include "tools/bench/connect.h"
#include "tools/bench/producer_worker.h"

namespace andyx::bench {
namespace {

constexpr std::uint32_t kPollMs = 20;  // how soon the end of the run is noticed

}  // namespace

ConsumerWorker::ConsumerWorker(ConsumeGoal& goal, std::optional<std::uint64_t> run,
                               std::uint32_t timeout_ms)
    : goal_(goal), run_(run), timeout_ms_(timeout_ms) {}

Result<std::unique_ptr<ConsumerWorker>> ConsumerWorker::open(const Options& options,
                                                             const std::string& subscription,
                                                             client::Start start, ConsumeGoal& goal,
                                                             std::optional<std::uint64_t> run) {
  std::unique_ptr<ConsumerWorker> worker(new ConsumerWorker(goal, run, options.timeout_ms));
  if (Status connected = worker->connect(options, subscription, start); !connected) {
    return std::unexpected(connected.error());
  }
  return worker;
}

Status ConsumerWorker::connect(const Options& options, const std::string& subscription,
                               client::Start start) {
  auto client = bench::connect(options);
  if (!client) return std::unexpected(client.error());
  client_.emplace(std::move(*client));

  client::ConsumerOptions consumer_options;
  consumer_options.topic = options.topic;
  consumer_options.subscription = subscription;
  consumer_options.type = options.type;
  consumer_options.mode = options.mode;
  consumer_options.start = start;
  consumer_options.answer_timeout_ms = options.timeout_ms;
  auto consumer = client_->subscribe(std::move(consumer_options));
  if (!consumer) return std::unexpected(consumer.error());
  consumer_.emplace(std::move(*consumer));
  return {};
}

void ConsumerWorker::run() {
  const Status consumed = consume();
  const Status confirmed = consumer_->close();
  last_confirmed_ns_ = net::monotonic_ns();
  if (!consumed) {
    error_ = consumed.error();
  } else if (!confirmed) {
    error_ = confirmed.error();
  }
  if (error_) goal_.stop = true;  // the others need not wait for what will not come
}

Status ConsumerWorker::consume() {
  std::uint64_t progress_ns = net::monotonic_ns();
  std::uint64_t consumed_before = goal_.consumed;
  while (!goal_.reached()) {
    Result<client::MessageBatch> batch = consumer_->poll(kPollMs);
    if (!batch) return std::unexpected(batch.error());
    if (!batch->empty()) {
      if (Status taken = take(*batch); !taken) return taken;
      consumer_->acknowledge(*batch);
      continue;
    }
    const std::uint64_t now_ns = net::monotonic_ns();
    if (goal_.consumed != consumed_before) {
      consumed_before = goal_.consumed;
      progress_ns = now_ns;
    } else if (now_ns - progress_ns > std::uint64_t{timeout_ms_} * 1'000'000) {
      return fail(ErrorCode::kTimedOut, "no message came for " + std::to_string(timeout_ms_) +
                                            " ms, after " + std::to_string(consumed_before));
    }
  }
  return {};
}

Status ConsumerWorker::take(client::MessageBatch& batch) {
  const std::uint64_t now_ns = run_ ? net::monotonic_ns() : 0;
  std::uint64_t taken = 0;
  client::Message message;
  while (batch.next(message)) {
    if (run_) {
      Stamp stamp;
      if (message.payload.size() < sizeof stamp) continue;
      std::memcpy(&stamp, message.payload.data(), sizeof stamp);
      if (stamp.run != *run_) continue;
      latency_.add(now_ns - stamp.sent_ns);
    }
    bytes_ += message.payload.size();
    ++taken;
  }
  goal_.consumed.fetch_add(taken, std::memory_order_relaxed);
  return batch.status();
}

}  // namespace andyx::bench
