// A log-linear histogram of latencies: 64 linear steps in each power of two, so that a quantile is
// right within 1.6 %, from 1 ns to 2^40 ns (18 minutes; longer counts as that). Fixed size, adding
// is a few instructions. One thread; merge() joins those of several.
#pragma once

#include <array>
#include <cstdint>

namespace andyx::bench {

class Histogram {
 public:
  void add(std::uint64_t value_ns, std::uint64_t count = 1);
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t min_ns() const { return count_ == 0 ? 0 : min_; }
  std::uint64_t max_ns() const { return max_; }
  double mean_ns() const;
  // The value that a share `quantile` (0..1) of all values does not exceed; the upper end of its
  // step, at most max_ns(). 0 when empty.
  std::uint64_t quantile_ns(double quantile) const;

 private:
  static constexpr unsigned kStepBits = 6;
  static constexpr unsigned kSteps = 1u << kStepBits;
  static constexpr unsigned kMaxBits = 40;
  static constexpr unsigned kBuckets = (kMaxBits - kStepBits + 1) * kSteps;

  static unsigned bucket_of(std::uint64_t value_ns);
  static std::uint64_t upper_end(unsigned bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace andyx::bench
