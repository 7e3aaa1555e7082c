#include "tools/bench/workload/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace andyx::bench {

Machine this_machine() {
  Machine machine;
  machine.cores = std::thread::hardware_concurrency();
  machine.memory_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));
  utsname system;
  if (::uname(&system) == 0) {
    machine.kernel = std::string(system.sysname) + ' ' + system.release + ' ' + system.machine;
  }
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    const std::size_t colon = line.find(": ");
    if (!line.starts_with("model name") || colon == std::string::npos) continue;
    machine.cpu = line.substr(colon + 2);
    break;
  }
  std::ifstream("/proc/loadavg") >> machine.load_average;
  return machine;
}

}  // namespace andyx::bench
