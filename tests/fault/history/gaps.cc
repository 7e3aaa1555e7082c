#include "tests/fault/history/gaps.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace andyx::test::fault {
namespace {

struct Window {
  std::string kind;
  std::uint32_t begin_ms = 0, end_ms = 0;
};

// A fault's window ends with the recovery of its round, or with the history.
std::vector<Window> windows_of(const History& history) {
  std::vector<Window> windows;
  std::size_t open = 0;  // from here on they have no end yet
  std::uint32_t last_ms = 0;
  const auto close = [&](std::uint32_t at_ms) {
    const bool several = windows.size() - open > 1;
    for (; open < windows.size(); ++open) {
      windows[open].end_ms = at_ms;
      if (several) windows[open].kind += ", beside another";
    }
  };
  for (const Entry& entry : history.entries()) {
    last_ms = entry.time_ms;
    if (const auto* fault = std::get_if<FaultBegun>(&entry.event)) {
      windows.push_back({fault->kind, fault->at_ms, 0});
    } else if (std::holds_alternative<Recovery>(entry.event)) {
      close(entry.time_ms);
    }
  }
  close(last_ms);
  return windows;
}

// Ascending times of committed writes, by partition.
std::vector<std::vector<std::uint32_t>> commits_of(const History& history) {
  std::vector<std::vector<std::uint32_t>> commits(history.cast().partitions);
  for (const Entry& entry : history.entries()) {
    const auto* answer = std::get_if<Answered>(&entry.event);
    if (answer == nullptr || answer->outcome != Outcome::kCommitted) continue;
    commits.at(answer->partition).push_back(entry.time_ms);
  }
  return commits;
}

std::uint32_t longest_gap(const std::vector<std::uint32_t>& commits, const Window& window) {
  // From the last one before the window to the first one behind it.
  auto at = std::ranges::upper_bound(commits, window.begin_ms);
  std::uint32_t before = at == commits.begin() ? window.begin_ms : *(at - 1);
  std::uint32_t longest = 0;
  for (; before < window.end_ms; ++at) {
    // What comes after the recovery is nobody's fault.
    const std::uint32_t next = at == commits.end() ? window.end_ms : std::min(*at, window.end_ms);
    longest = std::max(longest, next - before);
    if (at == commits.end()) break;
    before = next;
  }
  return longest;
}

}  // namespace

Gaps measure_gaps(const History& history) {
  const auto commits = commits_of(history);
  Gaps gaps;
  for (const Window& window : windows_of(history)) {
    for (const auto& of_partition : commits) {
      gaps[window.kind].push_back(longest_gap(of_partition, window));
    }
  }
  for (auto& [kind, values] : gaps) std::ranges::sort(values);
  return gaps;
}

std::uint32_t percentile(const std::vector<std::uint32_t>& ascending, double percent) {
  if (ascending.empty()) return 0;
  const double rank = std::ceil(percent / 100 * static_cast<double>(ascending.size()));
  return ascending[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

std::string gap_table(const Gaps& gaps, std::uint32_t partitions) {
  char line[160];
  std::snprintf(line, sizeof line, "%-48s %7s %9s %9s %9s\n", "no committed write after", "faults",
                "p50 ms", "p99 ms", "max ms");
  std::string text = line;
  for (const auto& [kind, values] : gaps) {
    std::snprintf(line, sizeof line, "%-48s %7zu %9u %9u %9u\n", kind.c_str(),
                  values.size() / std::max(partitions, 1u), percentile(values, 50),
                  percentile(values, 99), values.back());
    text += line;
  }
  return text;
}

}  // namespace andyx::test::fault
