#include "tools/bench/workload/load_producer.h"

#include <algorithm>
#include <cstring>

#include "protocol/batch/key_hash.h"
#include "protocol/net/loop.h"

namespace andyx::bench {
namespace {

// A pool of payloads is shared; only so many are copied to be stamped, for each producer.
constexpr std::size_t kMaxCopies = 64;

std::uint64_t xorshift(std::uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

}  // namespace

LoadProducer::LoadProducer(const Payloads& payloads, Setup setup)
    : payloads_(payloads),
      setup_(std::move(setup)),
      random_(0x9E3779B97F4A7C15ull ^ (std::uint64_t{setup_.producer_index} << 20) ^ setup_.run),
      wall_minus_monotonic_us_(net::wall_time_us() -
                               static_cast<std::int64_t>(net::monotonic_ns() / 1000)) {
  // Each producer begins elsewhere in the pool.
  const std::size_t copies = std::min(kMaxCopies, payloads.pool.size());
  for (std::size_t i = 0; i < copies; ++i) {
    payload_copies_.push_back(
        payloads.pool[(setup_.producer_index * kMaxCopies + i) % payloads.pool.size()]);
  }
}

Result<std::unique_ptr<LoadProducer>> LoadProducer::open(client::Client& client,
                                                         const Payloads& payloads, Setup setup) {
  client::ProducerOptions options = setup.options;
  options.topic = setup.topic;
  std::unique_ptr<LoadProducer> made(new LoadProducer(payloads, std::move(setup)));
  options.on_batch = [raw = made.get()](const client::BatchOutcome& outcome) {
    raw->on_batch(outcome);
  };
  auto producer = client.producer(std::move(options));
  if (!producer) return std::unexpected(producer.error());
  for (std::uint32_t i = 0; i < producer->partitions(); ++i) {
    made->lanes_.push_back(std::make_unique<Lane>());
  }
  made->producer_.emplace(std::move(*producer));
  return made;
}

const std::string* LoadProducer::choose_key() {
  switch (setup_.key_distributor) {
    case KeyDistributor::kNoKey:
      return nullptr;
    case KeyDistributor::kRoundRobin:
      return &payloads_.keys[index_ % payloads_.keys.size()];
    case KeyDistributor::kRandom:
      return &payloads_.keys[xorshift(random_) % payloads_.keys.size()];
  }
  return nullptr;
}

// As the client would choose; said here, because the queue of due times is the partition's.
std::uint32_t LoadProducer::choose_partition(const std::string* key) {
  const auto count = static_cast<std::uint32_t>(lanes_.size());
  if (key != nullptr) return batch::partition_of_key(*key, count);
  return static_cast<std::uint32_t>((index_ + setup_.producer_index) % count);
}

Status LoadProducer::send(std::uint64_t due_ns) {
  const std::string* key = choose_key();
  const std::uint32_t partition = choose_partition(key);
  Lane& lane = *lanes_[partition];
  std::string& payload = payload_copies_[index_ % payload_copies_.size()];
  if (payloads_.stamped()) {
    const MessageStamp stamp{.due_ns = due_ns,
                             .sequence = lane.next_sequence,
                             .producer = setup_.producer_index,
                             .run = setup_.run};
    std::memcpy(payload.data(), &stamp, sizeof stamp);
  }
  client::OutMessage message;
  if (key != nullptr) message.key = *key;
  message.payload = payload;
  message.partition = partition;
  message.time_us = static_cast<std::int64_t>(due_ns / 1000) + wall_minus_monotonic_us_;
  lane.due.push(due_ns);
  const Status sent = producer_->send(message);
  if (!sent) return sent;  // the run ends here: the queue is not used any more
  ++lane.next_sequence;
  ++index_;
  sent_.store(index_, std::memory_order_relaxed);
  return {};
}

void LoadProducer::on_batch(const client::BatchOutcome& outcome) {
  Lane& lane = *lanes_[outcome.partition];
  if (outcome.error != nullptr) {
    for (std::uint32_t i = 0; i < outcome.count; ++i) lane.due.pop();
    failed_.fetch_add(outcome.count, std::memory_order_relaxed);
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = *outcome.error;
    return;
  }
  const std::uint64_t now_ns = net::monotonic_ns();
  latency_.add([&](Histogram& histogram) {
    for (std::uint32_t i = 0; i < outcome.count; ++i) {
      const std::uint64_t due_ns = lane.due.pop();
      histogram.add(now_ns > due_ns ? now_ns - due_ns : 0);
    }
  });
  lane.acked += outcome.count;
  acked_.fetch_add(outcome.count, std::memory_order_relaxed);
}

std::optional<Error> LoadProducer::first_error() const {
  const std::lock_guard lock(error_mutex_);
  return error_;
}

std::vector<std::uint64_t> LoadProducer::acked_by_partition() const {
  std::vector<std::uint64_t> acked;
  for (const auto& lane : lanes_) acked.push_back(lane->acked);
  return acked;
}

}  // namespace andyx::bench
