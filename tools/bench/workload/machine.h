// What a figure has to be judged by: the machine that it was measured on. Values.
#pragma once

#include <cstdint>
#include <string>

namespace andyx::bench {

struct Machine {
  std::string cpu;  // as /proc/cpuinfo names it
  std::uint32_t cores = 0;
  std::uint64_t memory_bytes = 0;
  std::string kernel;
  double load_average = 0;  // of the last minute, now
};

// What is unknown stays empty.
Machine this_machine();

}  // namespace andyx::bench
