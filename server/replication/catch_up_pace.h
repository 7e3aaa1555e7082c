// How fast replicas that are far behind may catch up on this node, beside producers. Both ends of a
// catch-up work by it, each for its own disk: the main before it reads from the disk what a replica
// lacks, the replica before it asks for more to store. Nobody waits for what is caught up, but
// somebody waits for every other write; so these say how much the disk has left: while they are
// slower than without a catch-up the budget shrinks, else it grows (additive increase would take
// minutes on a fast disk, so both are multiplicative).
//
// - No limit while nobody else writes.
// - What is usual is learnt while nothing catches up, and at the floor: what is slow there is slow
//   by itself.
// - Never under a floor above the rate at which the logs that are behind grow meanwhile: a catch-up
//   always ends, also beside producers who would take the whole disk.
//
// Pure: times are monotonic microseconds, and never go back. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/base/limits.h"

namespace andyx::server {

class CatchUpPace {
 public:
  // A write that somebody waits for is durable, so long after it was handed over.
  void wrote(std::uint64_t age_us, std::uint64_t now_us);
  // The oldest one of those that are not durable yet.
  void waits(std::uint64_t age_us, std::uint64_t now_us);

  // May `bytes` more be read or asked for, for a replica that is behind? They are charged then.
  bool take(std::uint64_t bytes, std::uint64_t now_us);
  // So much of it was not needed.
  void give_back(std::uint64_t bytes);
  // A log of which something was taken has grown by so much since the last time.
  void grew(std::uint64_t bytes) { grown_ += bytes; }

  // Bytes for each second. Nothing: no limit.
  std::optional<std::uint64_t> limit(std::uint64_t now_us);
  // Of each of `waiting` logs in turn, so that all have theirs within a few seconds.
  std::size_t share(std::size_t waiting, std::size_t most, std::uint64_t now_us);

  static constexpr std::uint64_t kIntervalUs = 200'000;        // between two looks at the writes
  static constexpr std::uint64_t kNobodyWritesUs = 2'000'000;  // after the last write
  static constexpr std::uint64_t kEndedUs = 2'000'000;         // nothing was taken for so long
  // Writes up to this age hurt nobody, whatever is usual: about a sync of a middling disk.
  static constexpr std::uint64_t kFastUs = 5'000;
  static constexpr double kSlow = 2;  // times what is usual
  static constexpr double kShrink = 0.7, kGrow = 1.15;
  static constexpr double kAboveGrowth = 1.5;  // the floor, of the rate at which the logs grow

 private:
  struct Seen {  // in the present interval
    std::uint64_t writes = 0, age_sum_us = 0;
    std::uint64_t waiting_us = 0;
    std::uint64_t taken = 0;
    bool refused = false;
  };

  void move_on(std::uint64_t now_us);
  void look(std::uint64_t elapsed_us, std::uint64_t now_us);
  void adapt(std::optional<double> age_us, std::uint64_t elapsed_us);
  void learn(double age_us, std::uint64_t elapsed_us);
  double slow_us() const;
  double floor() const;
  double burst() const;

  std::uint64_t now_us_ = 0, looked_us_ = 0;
  std::optional<std::uint64_t> wrote_us_, took_us_;  // the last time
  Seen seen_;
  std::uint64_t grown_ = 0;  // since the last look
  double growth_ = 0;        // bytes for each second
  double usual_us_ = 0;      // 0: not known
  double rate_ = 0;          // bytes for each second, while there is a limit
  double tokens_ = 0;        // below 0: taken in advance
  bool limited_ = false;
};

}  // namespace andyx::server
