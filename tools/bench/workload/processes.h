// The server's processes as /proc shows them: CPU, memory, bytes written. Blocking reads of small
// files; one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace andyx::bench {

struct ProcessUsage {
  std::uint64_t cpu_us = 0;  // user and system, since it started
  std::uint64_t rss_bytes = 0, rss_peak_bytes = 0;
  std::uint64_t written_bytes = 0;  // given to the disk, since it started
  bool written_known = false;       // /proc/PID/io can be read by its owner only

  void add(const ProcessUsage& other);
};

// Empty: no such process.
std::optional<ProcessUsage> read_usage(pid_t pid);
// The sum; empty when one of them is gone, or there is none.
std::optional<ProcessUsage> read_usage(const std::vector<pid_t>& pids);

// The process of this machine that listens on TCP port `port`; empty where none can be seen.
std::optional<pid_t> find_listener(std::uint16_t port);
// Whether `host` (a name or an address) is this machine.
bool is_local_host(const std::string& host);

}  // namespace andyx::bench
