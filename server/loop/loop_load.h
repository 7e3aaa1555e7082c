// What the partitions of a loop carry: sampled each second on the loop, read from any thread.
#pragma once

#include <cstdint>
#include <mutex>

#include "server/cluster/measured_load.h"

namespace andyx::server {

class CoreLoop;
struct Node;

class LoopLoad {
 public:
  explicit LoopLoad(CoreLoop& loop) : loop_(loop) {}

  struct Measured {
    MeasuredLoad load;
    std::uint64_t bytes_in = 0, bytes_out = 0;  // since start: of clients, to and from mains
  };
  void sample();  // on the loop, every second
  Measured measured() const;

 private:
  void sample_traffic(double seconds, MeasuredLoad& load);
  void sample_sizes();

  CoreLoop& loop_;
  std::uint64_t sampled_ns_ = 0;
  std::uint32_t samples_ = 0;
  MeasuredLoad sizes_;  // of copies: measured less often
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
  mutable std::mutex mutex_;
  Measured measured_;
};

// Of all loops of a node. Any thread.
LoopLoad::Measured measured_load(const Node& node);

}  // namespace andyx::server
