#include "tools/bench/workload/sampler.h"

#include <chrono>
#include <thread>

#include "protocol/net/loop.h"

namespace andyx::bench {
namespace {

constexpr std::chrono::milliseconds kSettleTurn{250};
constexpr unsigned kMaxSettleTurns = 40;
constexpr std::uint64_t kIdleUsPerTurn = 12'500;  // 5 % of a core

double seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

Sampler::Sampler(LiveWorkload& load, std::uint32_t subscriptions, std::vector<pid_t> pids)
    : load_(load), subscriptions_(subscriptions), pids_(std::move(pids)) {
  begin();
}

void Sampler::begin() {
  Histogram dropped;
  load_.take_latencies(dropped, dropped, dropped);
  begin_counts_ = counts_ = load_.counts();
  begin_usage_ = usage_ = read_usage(pids_);
  begin_ns_ = last_ns_ = net::monotonic_ns();
}

double Sampler::elapsed_s() const { return seconds(net::monotonic_ns() - begin_ns_); }

Period Sampler::take(Totals& total) {
  Totals here;
  load_.take_latencies(here.publish, here.delay, here.end_to_end);
  const LoadCounts counts = load_.counts();
  const auto usage = read_usage(pids_);
  const std::uint64_t now_ns = net::monotonic_ns();
  const double length_s = seconds(now_ns - last_ns_);
  const auto rate = [length_s](std::uint64_t now, std::uint64_t before) {
    return length_s > 0 ? static_cast<double>(now - before) / length_s : 0;
  };
  Period period;
  period.end_s = seconds(now_ns - begin_ns_);
  period.publish_rate = rate(counts.acked, counts_.acked);
  period.publish_error_rate = rate(counts.failed, counts_.failed);
  period.consume_rate = rate(counts.received, counts_.received);
  period.backlog = counts.backlog(subscriptions_);
  period.publish = summarize(here.publish);
  period.delay = summarize(here.delay);
  period.end_to_end = summarize(here.end_to_end);
  if (usage && usage_) {
    period.cpu_cores = rate(usage->cpu_us, usage_->cpu_us) / 1e6;
    period.rss_bytes = usage->rss_bytes;
    if (usage->written_known) {
      period.written_bytes_per_s = rate(usage->written_bytes, usage_->written_bytes);
    }
  }
  total.publish.merge(here.publish);
  total.delay.merge(here.delay);
  total.end_to_end.merge(here.end_to_end);
  counts_ = counts;
  usage_ = usage;
  last_ns_ = now_ns;
  return period;
}

std::optional<ServerUse> Sampler::settle() const {
  auto last = read_usage(pids_);
  for (unsigned turn = 0; last && turn < kMaxSettleTurns; ++turn) {
    std::this_thread::sleep_for(kSettleTurn);
    const auto now = read_usage(pids_);
    if (!now) return std::nullopt;
    const bool idle = now->cpu_us - last->cpu_us < kIdleUsPerTurn;
    last = now;
    if (idle) break;
  }
  if (!last || !begin_usage_) return std::nullopt;
  ServerUse use;
  use.pids = pids_;
  use.seconds = elapsed_s();
  use.cpu_s = static_cast<double>(last->cpu_us - begin_usage_->cpu_us) / 1e6;
  use.rss_bytes = last->rss_bytes;
  use.rss_peak_bytes = last->rss_peak_bytes;
  if (last->written_known) use.written_bytes = last->written_bytes - begin_usage_->written_bytes;
  return use;
}

}  // namespace andyx::bench
