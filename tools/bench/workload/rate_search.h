// Finds the highest rate that is sustained: up in large steps until one is not, then between the
// highest that was and the lowest that was not, geometrically. A rate is given up when it fails
// twice: one may have been disturbed. Pure. One thread.
#pragma once

#include <cstdint>
#include <optional>

namespace andyx::bench {

class RateSearch {
 public:
  explicit RateSearch(double first_rate = 10'000) : next_(first_rate) {}

  // The rate to try, in messages/s; empty when the search is over.
  std::optional<double> next() const;
  // What became of it.
  void tried(bool sustained);

  // The highest rate that was sustained; empty when none was.
  std::optional<double> found() const { return sustained_; }

 private:
  static constexpr double kStep = 4;
  static constexpr double kPrecision = 1.05;  // between sustained and not
  static constexpr double kLeastRate = 1;
  static constexpr double kMostRate = 1e9;
  static constexpr std::uint32_t kMaxTries = 40;

  double next_;
  std::uint32_t tries_ = 0;
  bool again_ = false;  // next_ has failed once
  std::optional<double> sustained_, refused_;
};

// What was seen while one rate was held.
struct RateTrial {
  double rate = 0;     // asked for, messages/s
  double seconds = 0;  // how long it was held
  double acked = 0;    // messages in that time; what was due and is not among them waits
  double backlog = 0;  // acknowledged and not received at its end, for each subscription
};

// Whether what came in also went out: what is left over at the end is less than half a second's
// messages, on both sides, and hardly less was acknowledged than was due.
bool is_sustained(const RateTrial& trial);

}  // namespace andyx::bench
