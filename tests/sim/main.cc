// raft-sim: runs seeds of the simulator.
#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "raft/core/planted.h"
#include "tests/sim/bugs.h"
#include "tests/sim/report.h"
#include "tests/sim/world.h"

namespace {

using namespace andyx::raft;

struct Arguments {
  std::uint64_t seeds = 100;
  double hours = 0.05;
  std::uint64_t first = 1;
  std::uint64_t seed = 0;
  std::string bug;
  unsigned jobs = 1;
  std::size_t trace = 60;
  bool verbose = false;
};

void run_seeds(const Arguments& arguments, sim::Report& report) {
  std::atomic<std::uint64_t> next = 0;
  std::mutex mutex;
  const auto work = [&] {
    for (std::uint64_t i = next++; i < arguments.seeds; i = next++) {
      const sim::Options options =
          sim::draw_options(arguments.first + i, sim::hours_of_virtual_time(arguments.hours));
      const sim::RunResult result = sim::run_seed(options, arguments.trace);
      const std::lock_guard lock(mutex);
      report.add(result, arguments.verbose);
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned job = 1; job < arguments.jobs; job++) {
    threads.emplace_back(work);
  }
  work();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Runs the Raft core against simulated disks, networks, clocks and faults, and checks its\n"
      "invariants after every event. Each seed runs H virtual hours with faults, then heals and\n"
      "has to make progress. A failing seed prints how to run it again; exit status 1."};
  Arguments arguments;
  app.add_option("--seeds", arguments.seeds, "how many seeds to run, from --first on (100)");
  app.add_option("--hours", arguments.hours, "virtual hours of each seed (0.05)");
  app.add_option("--first", arguments.first, "the first seed (1)");
  CLI::Option* const one =
      app.add_option("--seed", arguments.seed, "run only this seed, and print its options");
  app.add_option("--jobs", arguments.jobs, "threads; each runs whole seeds (1)")
      ->check(CLI::Range(1u, 64u));
  app.add_option("--trace", arguments.trace, "of a failing seed, so many of the last events (60)");
  app.add_flag("--verbose", arguments.verbose, "a line for each seed");
  CLI::Option* const bug = app.add_option(
      "--bug", arguments.bug, "plant this bug (raft-sim-planted only): " + sim::bug_names());
  CLI11_PARSE(app, argc, argv);
  if (one->count() > 0) {
    arguments.first = arguments.seed;
    arguments.seeds = 1;
    arguments.verbose = true;
  }
  if (bug->count() > 0 && !sim::plant(arguments.bug)) {
    std::fprintf(stderr, "no bug '%s' in this program: raft-sim-planted has %s\n",
                 arguments.bug.c_str(), sim::bug_names().c_str());
    return 2;
  }
  sim::Report report(arguments.hours);
  run_seeds(arguments, report);
  report.print_summary();
  return report.violations() == 0 && arguments.seeds > 0 ? 0 : 1;
}
