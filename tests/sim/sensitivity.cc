// raft-sensitivity: shows that the simulator can fail. Plants one known bug after the other and
// counts by how many seeds each is caught; without a bug the same seeds have to pass.
#include <cstdio>
#include <map>
#include <string>

#include <CLI/CLI.hpp>

#include "tests/sim/bugs.h"
#include "tests/sim/report.h"
#include "tests/sim/world.h"

#ifndef ANDYX_RAFT_PLANTED_BUGS
#error "only where the bugs are compiled in"
#endif

namespace {

using namespace andyx::raft;

struct Arguments {
  std::uint64_t seeds = 120;
  std::uint64_t bound = 1000;
  double hours = 0.05;
};

struct Catches {
  std::uint64_t caught = 0;
  std::uint64_t seeds = 0;
  std::uint64_t first = 0;                  // seed; 0: none
  std::map<std::string, std::uint64_t> by;  // invariant: seeds
};

// The first `seeds` all; more of them only until one has caught it.
Catches run(Bug bug, const Arguments& arguments) {
  planted_bug = bug;
  Catches found;
  const std::uint64_t bound = bug == Bug::kNoBug ? arguments.seeds : arguments.bound;
  for (std::uint64_t seed = 1; seed <= bound; seed++) {
    if (seed > arguments.seeds && found.caught > 0) {
      break;
    }
    const sim::Options options =
        sim::draw_options(seed, sim::hours_of_virtual_time(arguments.hours));
    const sim::RunResult result = sim::run_seed(options);
    found.seeds++;
    if (result.violation) {
      found.caught++;
      found.first = found.first == 0 ? seed : found.first;
      found.by[result.violation->invariant]++;
    }
  }
  planted_bug = Bug::kNoBug;
  return found;
}

void print(const char* name, const Catches& found) {
  std::string by;
  for (const auto& [invariant, seeds] : found.by) {
    by += (by.empty() ? "" : ", ") + invariant + " (" + std::to_string(seeds) + ")";
  }
  std::printf("%-28s | %4llu of %-4llu | %4llu | %s\n", name,
              static_cast<unsigned long long>(found.caught),
              static_cast<unsigned long long>(found.seeds),
              static_cast<unsigned long long>(found.first), by.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Plants known bugs into the Raft core and its simulated host, one at a time, and counts the\n"
      "seeds of the simulator that catch each. Exit status 1 when one is not caught, or when a seed\n"
      "fails without any."};
  Arguments arguments;
  app.add_option("--seeds", arguments.seeds, "seeds to count over (120)");
  app.add_option("--bound", arguments.bound, "seeds until each has to be caught (1000)");
  app.add_option("--hours", arguments.hours, "virtual hours of each seed (0.05)");
  CLI11_PARSE(app, argc, argv);
  std::printf("%-28s | caught by     | first | invariant (seeds)\n", "bug");
  const Catches clean = run(Bug::kNoBug, arguments);
  print("(none)", clean);
  std::size_t missed = 0;
  for (const sim::NamedBug& bug : sim::named_bugs()) {
    const Catches found = run(bug.bug, arguments);
    print(bug.name, found);
    missed += found.caught == 0 ? 1 : 0;
  }
  std::printf("%zu bugs, %zu not caught; without a bug %llu of %llu seeds failed\n",
              sim::named_bugs().size(), missed, static_cast<unsigned long long>(clean.caught),
              static_cast<unsigned long long>(clean.seeds));
  return missed == 0 && clean.caught == 0 ? 0 : 1;
}
