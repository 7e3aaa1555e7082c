#include "server/loop/loop_load.h"

#include <utility>

#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kSizesEvery = 10;  // samples

}  // namespace

void LoopLoad::sample() {
  const std::uint64_t now_ns = net::monotonic_ns();
  const std::uint64_t before_ns = std::exchange(sampled_ns_, now_ns);
  // The first one begins the time that rates are over.
  const double seconds = before_ns == 0 ? 1 : static_cast<double>(now_ns - before_ns) / 1e9;
  if (seconds <= 0) return;
  if (samples_++ % kSizesEvery == 0) sample_sizes();
  MeasuredLoad load = sizes_;
  sample_traffic(seconds, load);
  const std::lock_guard lock(mutex_);
  measured_ = {std::move(load), bytes_in_, bytes_out_};
}

void LoopLoad::sample_traffic(double seconds, MeasuredLoad& load) {
  double in_rate = 0, out_rate = 0;
  for (const auto& [id, partition] : loop_.partitions()) {
    if (!partition->is_main()) continue;
    TrafficMeter& traffic = partition->traffic();
    const TrafficMeter::Bytes now = traffic.sample(seconds);
    bytes_in_ += now.in;
    bytes_out_ += now.out;
    in_rate += traffic.in_rate();
    out_rate += traffic.out_rate();
    const auto rate = static_cast<std::uint64_t>(traffic.in_rate() + traffic.out_rate());
    if (rate > 0) load.busiest.push_back({id, rate});
  }
  load.in_rate = static_cast<std::uint64_t>(in_rate);
  load.out_rate = static_cast<std::uint64_t>(out_rate);
  keep_largest(load.busiest);
}

void LoopLoad::sample_sizes() {
  sizes_ = {};
  for (const auto& [id, partition] : loop_.partitions()) {
    const std::uint64_t bytes = partition->stored_bytes();
    sizes_.stored_bytes += bytes;
    if (bytes > 0) sizes_.largest.push_back({id, bytes});
  }
  keep_largest(sizes_.largest);
}

LoopLoad::Measured LoopLoad::measured() const {
  const std::lock_guard lock(mutex_);
  return measured_;
}

LoopLoad::Measured measured_load(const Node& node) {
  LoopLoad::Measured all;
  for (const auto& loop : node.loops) {
    const LoopLoad::Measured one = loop->load().measured();
    all.bytes_in += one.bytes_in;
    all.bytes_out += one.bytes_out;
    all.load.in_rate += one.load.in_rate;
    all.load.out_rate += one.load.out_rate;
    all.load.stored_bytes += one.load.stored_bytes;
    const auto add = [](auto& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    add(all.load.busiest, one.load.busiest);
    add(all.load.largest, one.load.largest);
  }
  keep_largest(all.load.busiest);
  keep_largest(all.load.largest);
  return all;
}

}  // namespace andyx::server
