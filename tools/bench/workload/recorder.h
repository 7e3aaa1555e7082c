// A histogram that one thread fills and another takes, once for each period. The lock is taken once
// for each batch of values.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include "tools/bench/histogram.h"

namespace andyx::bench {

class Recorder {
 public:
  // Adds what `fill(histogram)` adds.
  template <typename Fill>
  void add(Fill fill) {
    const std::lock_guard lock(mutex_);
    fill(values_);
  }
  // Moves what was added since the last call into `into`.
  void take(Histogram& into) {
    const std::lock_guard lock(mutex_);
    into.merge(values_);
    values_ = {};
  }

 private:
  std::mutex mutex_;
  Histogram values_;
};

}  // namespace andyx::bench
