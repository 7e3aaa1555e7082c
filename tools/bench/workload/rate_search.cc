#include "tools/bench/workload/rate_search.h"

#include <algorithm>
#include <cmath>

namespace andyx::bench {
namespace {

constexpr double kMostLeftSeconds = 0.5;
constexpr double kLeastShare = 0.95;

}  // namespace

std::optional<double> RateSearch::next() const {
  if (tries_ >= kMaxTries || next_ < kLeastRate || next_ > kMostRate) return std::nullopt;
  if (sustained_ && refused_ && *refused_ / *sustained_ < kPrecision) return std::nullopt;
  return next_;
}

void RateSearch::tried(bool sustained) {
  ++tries_;
  again_ = !sustained && !again_;
  if (again_) return;
  (sustained ? sustained_ : refused_) = next_;
  if (sustained_ && refused_) {
    next_ = std::sqrt(*sustained_ * *refused_);
  } else {
    next_ = sustained ? next_ * kStep : next_ / kStep;
  }
}

bool is_sustained(const RateTrial& trial) {
  const double due = trial.rate * trial.seconds;
  const double left = std::max(due - trial.acked, trial.backlog);
  return trial.acked >= due * kLeastShare && left <= trial.rate * kMostLeftSeconds;
}

}  // namespace andyx::bench
