#include "tools/bench/producer_worker.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <thread>

#include "protocol/net/loop.h"
#include "tools/bench/connect.h"
#include "tools/bench/rest.h"

namespace andyx::bench {
namespace {

constexpr std::uint64_t kClockEvery = 16;  // messages for each look at the clock, at full speed

// Printable and not compressible to nothing: xorshift over 64 characters.
std::string make_payload(std::uint64_t size_bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string payload(size_bytes, '\0');
  std::uint64_t state = 0x9E3779B97F4A7C15ull;
  for (char& c : payload) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = kDigits[state & 63];
  }
  return payload;
}

}  // namespace

ProducerWorker::ProducerWorker(const Options& options, const Work& work)
    : work_(work), payload_(make_payload(options.size_bytes)) {
  if (work_.run)
    std::memcpy(payload_.data() + offsetof(Stamp, run), &*work_.run, sizeof *work_.run);
}

Result<std::unique_ptr<ProducerWorker>> ProducerWorker::open(const Options& options,
                                                             const Work& work) {
  std::unique_ptr<ProducerWorker> worker(new ProducerWorker(options, work));
  if (Status connected = worker->connect(options); !connected) {
    return std::unexpected(connected.error());
  }
  return worker;
}

Status ProducerWorker::connect(const Options& options) {
  auto client = bench::connect(options);
  if (!client) return std::unexpected(client.error());
  client_.emplace(std::move(*client));

  client::ProducerOptions producer_options;
  producer_options.topic = options.topic;
  producer_options.acks = options.acks;
  producer_options.compression = options.compression;
  producer_options.linger_ms = options.one_at_a_time ? 0 : options.linger_ms;
  producer_options.batch_bytes = options.batch_bytes;
  producer_options.buffer_bytes = options.buffer_bytes;
  producer_options.delivery_timeout_ms = options.timeout_ms;
  producer_options.on_batch = [this](const client::BatchOutcome& outcome) { on_batch(outcome); };
  auto producer = client_->producer(std::move(producer_options));
  if (!producer) return std::unexpected(producer.error());
  producer_.emplace(std::move(*producer));
  return {};
}

void ProducerWorker::on_batch(const client::BatchOutcome& outcome) {
  if (outcome.error != nullptr) {
    failed_ += outcome.count;
    stop();
    return;
  }
  last_ack_ns_ = net::monotonic_ns();
  if (work_.one_at_a_time) return;  // measured more exactly there
  const auto now_us = static_cast<std::int64_t>(last_ack_ns_ / 1000) + wall_minus_monotonic_us_;
  const std::int64_t waited_us = std::max<std::int64_t>(0, now_us - outcome.first_time_us);
  ack_latency_.add(static_cast<std::uint64_t>(waited_us) * 1000);
}

void ProducerWorker::run() {
  started_ns_ = net::monotonic_ns();
  wall_minus_monotonic_us_ = net::wall_time_us() - static_cast<std::int64_t>(started_ns_ / 1000);
  const Status sent = send_all();
  const Status acked = producer_->close();
  if (!acked) {
    error_ = acked.error();
  } else if (!sent) {
    error_ = sent.error();
    if (!work_.one_at_a_time) ++failed_;  // there it was counted with its batch
  }
}

bool ProducerWorker::time_is_over(std::uint64_t now_ns) const {
  return static_cast<double>(now_ns - started_ns_) >= work_.seconds * 1e9;
}

Status ProducerWorker::send_all() {
  if (work_.one_at_a_time) return send_one_at_a_time();
  std::uint64_t now_ns = started_ns_;
  while (work_.messages == 0 || sent_ < work_.messages) {
    if (stopped_.load(std::memory_order_relaxed)) break;
    if (work_.rate > 0) {
      // Open loop: what is late is sent at once, with the time at which it was due.
      const std::uint64_t due_ns =
          started_ns_ + static_cast<std::uint64_t>(static_cast<double>(sent_) / work_.rate * 1e9);
      for (now_ns = net::monotonic_ns(); now_ns < due_ns; now_ns = net::monotonic_ns()) {
        rest_until_due(due_ns, now_ns);
        if (stopped_.load(std::memory_order_relaxed)) return {};
      }
      if (time_is_over(now_ns)) break;
      if (Status sent = send(due_ns); !sent) return sent;
      continue;
    }
    if (sent_ % kClockEvery == 0) {
      while (held_.load(std::memory_order_relaxed) && !stopped_.load(std::memory_order_relaxed)) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(kMostRestNs));
      }
      now_ns = net::monotonic_ns();
      if (time_is_over(now_ns)) break;
    }
    if (Status sent = send(now_ns); !sent) return sent;
  }
  return {};
}

client::OutMessage ProducerWorker::message_of(std::uint64_t sent_ns) {
  if (work_.run) {
    std::memcpy(payload_.data() + offsetof(Stamp, sent_ns), &sent_ns, sizeof sent_ns);
  }
  client::OutMessage message;
  message.payload = payload_;
  message.time_us = static_cast<std::int64_t>(sent_ns / 1000) + wall_minus_monotonic_us_;
  ++sent_;
  return message;
}

Status ProducerWorker::send(std::uint64_t sent_ns) { return producer_->send(message_of(sent_ns)); }

Status ProducerWorker::send_one_at_a_time() {
  if (Status sent = send_next(); !sent) return sent;
  return last_one_.get_future().get();
}

// The first one on the worker's thread, the others on the client's: in the callback of the one
// before, so that no thread has to be woken up for the next one.
Status ProducerWorker::send_next() {
  const std::uint64_t sent_ns = net::monotonic_ns();
  return producer_->try_send(message_of(sent_ns), [this, sent_ns](const client::SendOutcome& one) {
    if (!one) return last_one_.set_value(std::unexpected(one.error()));
    const std::uint64_t now_ns = net::monotonic_ns();
    ack_latency_.add(now_ns - sent_ns);
    const bool all = work_.messages != 0 && sent_ >= work_.messages;
    if (all || time_is_over(now_ns) || stopped_.load(std::memory_order_relaxed))
      return last_one_.set_value({});
    if (Status next = send_next(); !next) last_one_.set_value(std::move(next));
  });
}

}  // namespace andyx::bench
