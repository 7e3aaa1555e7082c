// What clients bring to a main, and take from it: bytes, and rates that forget what is older than
// half a minute. Exact from the first sample on: decayed bytes over equally decayed time. Pure.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>

namespace andyx::server {

class TrafficMeter {
 public:
  // Of a moment so long ago a third counts; of 30 s ago, a twentieth.
  static constexpr double kMemorySeconds = 10;

  void add_in(std::uint64_t bytes) { in_.now += bytes; }
  void add_out(std::uint64_t bytes) { out_.now += bytes; }

  struct Bytes {
    std::uint64_t in = 0, out = 0;
  };
  // `seconds` since the last sample; more than 0. What has come since then.
  Bytes sample(double seconds) {
    const double kept = std::exp(-seconds / kMemorySeconds);
    seconds_ = seconds_ * kept + seconds;
    return {in_.sample(kept), out_.sample(kept)};
  }

  // Bytes/s; 0 before the first sample.
  double in_rate() const { return seconds_ == 0 ? 0 : in_.bytes / seconds_; }
  double out_rate() const { return seconds_ == 0 ? 0 : out_.bytes / seconds_; }

 private:
  struct Counter {
    std::uint64_t now = 0;  // since the last sample
    double bytes = 0;       // before, decayed

    std::uint64_t sample(double kept) {
      bytes = bytes * kept + static_cast<double>(now);
      return std::exchange(now, 0);
    }
  };
  Counter in_, out_;
  double seconds_ = 0;  // decayed
};

}  // namespace andyx::server
