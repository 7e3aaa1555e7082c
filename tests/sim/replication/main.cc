// replication-sim: runs seeds of the simulator of a partition's replication.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "tests/sim/replication/bugs.h"
#include "tests/sim/replication/world.h"

int main(int argc, char** argv) {
  namespace sim = andyx::server::sim;
  CLI::App app{
      "Runs the cores of partition replication against simulated disks, networks and faults, and\n"
      "checks their invariants after every event. Each seed runs for some virtual time with\n"
      "faults, then heals and has to make progress. A failing seed is printed; exit status 1."};
  std::uint64_t seeds = 100, first = 1, seed = 0;
  std::string bug;
  bool calm = false, set_changes = false;
  app.add_option("--seeds", seeds, "how many seeds to run, from --first on (100)");
  app.add_option("--first", first, "the first seed (1)");
  CLI::Option* const one = app.add_option("--seed", seed, "run only this seed");
  app.add_flag("--calm", calm, "three nodes and no faults");
  app.add_flag("--set-changes", set_changes, "only faults around changes of the in-sync set");
  CLI::Option* const planted = app.add_option(
      "--bug", bug, "plant this bug (replication-sim-planted only): " + sim::bug_names());
  CLI11_PARSE(app, argc, argv);
  if (one->count() > 0) {
    first = seed;
    seeds = 1;
  }
  if (planted->count() > 0 && !sim::plant(bug)) {
    std::fprintf(stderr, "no bug '%s' in this program: it has %s\n", bug.c_str(),
                 sim::bug_names().c_str());
    return 2;
  }
  const auto options_of = [&](std::uint64_t each) {
    sim::Options options = sim::draw_options(each);
    options.set_changes_only = options.set_changes_only || set_changes;
    if (calm)
      options = {.seed = each,
                 .fault_every = 100 * options.duration,
                 .loss_permille = 0,
                 .twice_permille = 0,
                 .late_permille = 0};
    return options;
  };
  std::uint64_t violations = 0, events = 0, faults = 0, acknowledged = 0, epochs = 0, hours_us = 0;
  std::uint64_t resent = 0, delivered = 0, confirmed = 0, carried = 0, moves = 0;
  for (std::uint64_t each = first; each < first + seeds; ++each) {
    const sim::RunResult result = sim::run_seed(options_of(each));
    events += result.events;
    faults += result.faults;
    acknowledged += result.acknowledged;
    epochs += result.epochs;
    hours_us += result.virtual_time;
    resent += result.resent;
    delivered += result.delivered;
    confirmed += result.confirmed;
    carried += result.carried_over;
    moves += result.moves;
    if (!result.violation) continue;
    ++violations;
    std::printf("seed %llu: %s: %s\n%s\n", static_cast<unsigned long long>(each),
                result.violation->invariant.c_str(), result.violation->detail.c_str(),
                result.state.c_str());
  }
  std::printf(
      "%llu seeds, %.2f virtual hours, %llu events, %llu faults, %llu main epochs, %llu batches "
      "acknowledged at quorum, %llu resent, %llu copies moved, %llu deliveries, %llu confirmed "
      "answers, %llu subscriptions carried over to a new main: %llu violations\n",
      static_cast<unsigned long long>(seeds), static_cast<double>(hours_us) / 3.6e9,
      static_cast<unsigned long long>(events), static_cast<unsigned long long>(faults),
      static_cast<unsigned long long>(epochs), static_cast<unsigned long long>(acknowledged),
      static_cast<unsigned long long>(resent), static_cast<unsigned long long>(moves),
      static_cast<unsigned long long>(delivered), static_cast<unsigned long long>(confirmed),
      static_cast<unsigned long long>(carried), static_cast<unsigned long long>(violations));
  return violations == 0 && seeds > 0 ? 0 : 1;
}
