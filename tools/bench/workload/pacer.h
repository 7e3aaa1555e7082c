// Open loop: when each message is due, from the rate alone. Messages that are late stay due at
// their time, so that a stall counts for each of them. Pure: the clock is the caller's. One thread.
#pragma once

#include <cstdint>

namespace andyx::bench {

class Pacer {
 public:
  // `rate`: messages/s, over 0. The first message is due at `start_ns`.
  Pacer(double rate, std::uint64_t start_ns) : rate_(rate), start_ns_(start_ns) {}

  std::uint64_t due_ns() const { return due_ns(taken_); }  // of the next message
  bool is_due(std::uint64_t now_ns) const { return due_ns() <= now_ns; }
  void take() { ++taken_; }  // the next message has been handed over

  // Of any message; the first is 0. From the start, never from the message before: errors of
  // rounding do not add up.
  std::uint64_t due_ns(std::uint64_t index) const {
    return start_ns_ + static_cast<std::uint64_t>(static_cast<double>(index) * 1e9 / rate_);
  }

 private:
  double rate_;
  std::uint64_t start_ns_;
  std::uint64_t taken_ = 0;
};

}  // namespace andyx::bench
