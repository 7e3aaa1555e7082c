#include "tests/sim/trace.h"

#include <algorithm>
#include <cstdio>

namespace andyx::raft::sim {

std::string Trace::tail(std::size_t lines) const {
  const std::uint64_t kept = std::min<std::uint64_t>({count_, kKept, lines});
  std::string out;
  for (std::uint64_t i = count_ - kept; i < count_; i++) {
    const TraceLine& line = lines_[i % kKept];
    char text[192];
    std::snprintf(text, sizeof text, "%12.6f s  %-18s", static_cast<double>(line.at) / kSecond,
                  line.what);
    out += text;
    const auto part = [&out](const char* name, std::uint64_t value) {
      if (value != 0) {
        out += std::string(" ") + name + "=" + std::to_string(value);
      }
    };
    part("peer", line.peer);
    part("with", line.other);
    part("term", line.term);
    part("index", line.index);
    part("more", line.more);
    out += '\n';
  }
  return out;
}

}  // namespace andyx::raft::sim
