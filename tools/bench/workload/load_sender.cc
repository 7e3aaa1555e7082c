#include "tools/bench/workload/load_sender.h"

#include <sys/prctl.h>

#include <chrono>

#include "protocol/net/loop.h"
#include "tools/bench/rest.h"
#include "tools/bench/workload/pacer.h"

namespace andyx::bench {
namespace {

constexpr unsigned long kTimerSlackNs = 1'000;  // a sleep may be late by so much; 50 µs by default
constexpr unsigned kClockEvery = 8;             // messages sent at once for each look at the clock
constexpr unsigned kClosedLoopTurn = 64;

}  // namespace

LoadSender::LoadSender(std::vector<LoadProducer*> producers)
    : producers_(std::move(producers)), thread_([this] { run(); }) {}

void LoadSender::set_rate(double rate) {
  rate_ = rate;
  ++generation_;
}

void LoadSender::stop() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
}

std::optional<Error> LoadSender::error() const {
  const std::lock_guard lock(error_mutex_);
  return error_;
}

void LoadSender::run() {
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0);
  while (!stopped_) {
    const double rate = rate_;
    if (rate <= 0) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(kMostRestNs));
      continue;
    }
    if (Status sent = send_for_a_while(rate); !sent) {
      const std::lock_guard lock(error_mutex_);
      error_ = sent.error();
      return;
    }
  }
}

// Until the rate changes or the thread is to end.
Status LoadSender::send_for_a_while(double rate) {
  const std::uint32_t generation = generation_;
  const auto goes_on = [&] { return !stopped_ && generation_ == generation; };
  if (rate >= kClosedLoop) {
    while (goes_on()) {
      for (unsigned i = 0; i < kClosedLoopTurn; i += kClockEvery) {
        const std::uint64_t now_ns = net::monotonic_ns();
        for (unsigned j = 0; j < kClockEvery; ++j) {
          if (Status sent = send_next(now_ns); !sent) return sent;
        }
        delay_.add([](Histogram& histogram) { histogram.add(0, kClockEvery); });
      }
    }
    return {};
  }
  Pacer pacer(rate, net::monotonic_ns());
  while (goes_on()) {
    const std::uint64_t now_ns = net::monotonic_ns();
    if (!pacer.is_due(now_ns)) {
      rest_until_due(pacer.due_ns(), now_ns);
      continue;
    }
    std::uint64_t delays_ns[kClockEvery];
    unsigned count = 0;
    while (count < kClockEvery && pacer.is_due(now_ns)) {
      const std::uint64_t due_ns = pacer.due_ns();
      delays_ns[count++] = now_ns - due_ns;
      pacer.take();
      if (Status sent = send_next(due_ns); !sent) return sent;
    }
    delay_.add([&](Histogram& histogram) {
      for (unsigned i = 0; i < count; ++i) histogram.add(delays_ns[i]);
    });
  }
  return {};
}

Status LoadSender::send_next(std::uint64_t due_ns) {
  LoadProducer& producer = *producers_[turn_];
  if (++turn_ == producers_.size()) turn_ = 0;
  if (Status sent = producer.send(due_ns); !sent) return sent;
  sent_.store(sent_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return {};
}

}  // namespace andyx::bench
