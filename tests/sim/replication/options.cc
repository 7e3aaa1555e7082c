#include "tests/sim/replication/options.h"

#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

Options draw_options(std::uint64_t seed) {
  Rng rng(seed, 1);
  Options options{.seed = seed};
  options.duration = rng.between(15, 40) * kSecond;
  options.nodes = static_cast<std::uint32_t>(rng.between(3, 5));
  options.factor = static_cast<std::uint32_t>(rng.between(rng.one_in(4) ? 2 : 3, options.nodes));
  options.observer = options.factor < options.nodes && rng.one_in(3);
  options.partitions = rng.one_in(4) ? 2 : 1;
  options.producers = static_cast<std::uint32_t>(rng.between(2, 6));
  options.subscriptions = static_cast<std::uint32_t>(rng.below(3));
  options.produce_every = rng.between(100, 400) * kMs;
  options.slow_disk_ms = rng.one_in(2) ? 2'500 : 0;
  options.closes_heard = rng.one_in(2);
  options.fault_every = rng.between(200, 2'000) * kMs;
  options.loss_permille = rng.one_in(2) ? 0 : static_cast<std::uint32_t>(rng.between(1, 50));
  options.twice_permille = static_cast<std::uint32_t>(rng.between(0, 50));
  options.late_permille = static_cast<std::uint32_t>(rng.between(0, 30));
  options.late_by = rng.between(20, 3'000) * kMs;
  options.sync_time = rng.between(1, 20) * kMs;
  options.forced_elections = rng.one_in(6);
  // What a forced election cuts may be what retention has removed elsewhere: not both.
  options.retention = !options.forced_elections && rng.one_in(3);
  options.wiped_disks = rng.one_in(2);
  options.set_changes_only = rng.one_in(8);
  // A crash is half a lost disk then; together they would take more than the set can bear.
  options.lazy_sync = !options.wiped_disks && rng.one_in(4);
  return options;
}

}  // namespace andyx::server::sim
