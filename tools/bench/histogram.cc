#include "tools/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace andyx::bench {

// Values under 64 have a bucket each; above, the top bit picks the group and the six bits below it
// the step in the group.
unsigned Histogram::bucket_of(std::uint64_t value_ns) {
  const std::uint64_t value = std::min(value_ns, (std::uint64_t{1} << kMaxBits) - 1);
  if (value < kSteps) return static_cast<unsigned>(value);
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kStepBits;
  return (shift + 1) * kSteps + static_cast<unsigned>((value >> shift) & (kSteps - 1));
}

std::uint64_t Histogram::upper_end(unsigned bucket) {
  if (bucket < kSteps) return bucket;
  const unsigned shift = bucket / kSteps - 1;
  const std::uint64_t step = kSteps + bucket % kSteps;
  return ((step + 1) << shift) - 1;
}

void Histogram::add(std::uint64_t value_ns, std::uint64_t count) {
  if (count == 0) return;
  buckets_[bucket_of(value_ns)] += count;
  count_ += count;
  min_ = std::min(min_, value_ns);
  max_ = std::max(max_, value_ns);
  sum_ += static_cast<double>(value_ns) * static_cast<double>(count);
}

void Histogram::merge(const Histogram& other) {
  for (unsigned i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::mean_ns() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::uint64_t Histogram::quantile_ns(double quantile) const {
  if (count_ == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(
      std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (unsigned i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen > 0) return std::min(upper_end(i), max_);
  }
  return max_;
}

}  // namespace andyx::bench
