#include "tools/bench/workload/processes.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace andyx::bench {
namespace {

namespace fs = std::filesystem;

std::string proc(pid_t pid, const char* what) {
  return "/proc/" + std::to_string(pid) + '/' + what;
}

// The value of a line "NAME: VALUE …"; empty where there is none.
std::optional<std::uint64_t> field(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name + ':')) continue;
    std::istringstream rest(line.substr(name.size() + 1));
    std::uint64_t value = 0;
    if (rest >> value) return value;
  }
  return std::nullopt;
}

// utime and stime are fields 14 and 15; the name in field 2 may hold anything, also blanks.
std::optional<std::uint64_t> cpu_us(pid_t pid) {
  std::ifstream file(proc(pid, "stat"));
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(line.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i < 14; ++i) rest >> skipped;
  std::uint64_t user = 0, system = 0;
  if (!(rest >> user >> system)) return std::nullopt;
  return (user + system) * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

// Inodes of the sockets that listen on `port`.
std::set<std::string> listening_inodes(std::uint16_t port) {
  std::set<std::string> inodes;
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);  // column names
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
          timeout >> inode;
      const std::size_t colon = local.rfind(':');
      if (state != "0A" || colon == std::string::npos) continue;
      if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) inodes.insert(inode);
    }
  }
  return inodes;
}

bool has_socket(const fs::path& process, const std::set<std::string>& inodes) {
  std::error_code error;
  for (fs::directory_iterator it(process / "fd", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    const std::string target = fs::read_symlink(it->path(), ignored).string();
    if (!target.starts_with("socket:[")) continue;
    if (inodes.contains(target.substr(8, target.size() - 9))) return true;
  }
  return false;
}

std::string address_text(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address == nullptr) return text;
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  }
  return text;
}

}  // namespace

void ProcessUsage::add(const ProcessUsage& other) {
  cpu_us += other.cpu_us;
  rss_bytes += other.rss_bytes;
  rss_peak_bytes += other.rss_peak_bytes;
  written_bytes += other.written_bytes;
  written_known = written_known && other.written_known;
}

std::optional<ProcessUsage> read_usage(pid_t pid) {
  const auto cpu = cpu_us(pid);
  const auto rss_kib = field(proc(pid, "status"), "VmRSS");
  if (!cpu || !rss_kib) return std::nullopt;
  ProcessUsage usage;
  usage.cpu_us = *cpu;
  usage.rss_bytes = *rss_kib * 1024;
  usage.rss_peak_bytes = field(proc(pid, "status"), "VmHWM").value_or(*rss_kib) * 1024;
  const auto written = field(proc(pid, "io"), "write_bytes");
  usage.written_bytes = written.value_or(0);
  usage.written_known = written.has_value();
  return usage;
}

std::optional<ProcessUsage> read_usage(const std::vector<pid_t>& pids) {
  std::optional<ProcessUsage> sum;
  for (const pid_t pid : pids) {
    const auto usage = read_usage(pid);
    if (!usage) return std::nullopt;
    if (sum) {
      sum->add(*usage);
    } else {
      sum = usage;
    }
  }
  return sum;
}

std::optional<pid_t> find_listener(std::uint16_t port) {
  const std::set<std::string> inodes = listening_inodes(port);
  if (inodes.empty()) return std::nullopt;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    if (has_socket(it->path(), inodes)) return static_cast<pid_t>(std::stol(name));
  }
  return std::nullopt;
}

bool is_local_host(const std::string& host) {
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) return false;
  std::set<std::string> addresses;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    addresses.insert(address_text(a->ai_addr));
  }
  ::freeaddrinfo(found);
  const auto is_loopback = [](const std::string& a) { return a == "::1" || a.starts_with("127."); };
  if (std::ranges::any_of(addresses, is_loopback)) return true;
  ifaddrs* interfaces = nullptr;
  if (::getifaddrs(&interfaces) != 0) return false;
  bool local = false;
  for (const ifaddrs* i = interfaces; i != nullptr; i = i->ifa_next) {
    local = local || addresses.contains(address_text(i->ifa_addr));
  }
  ::freeifaddrs(interfaces);
  return local;
}

}  // namespace andyx::bench
