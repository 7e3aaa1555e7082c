#include "tests/sim/replication/options.h"

#include "server/replication/replication_record.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

Options draw_options(std::uint64_t seed) {
  Rng rng(seed, 1);
  Options options{.seed = seed};
  options.duration = rng.between(15, 40) * kSecond;
  options.nodes = static_cast<std::uint32_t>(rng.between(3, 5));
  options.observers = options.nodes > 3 && rng.one_in(3) ? 1 : 0;
  const std::uint32_t factor = options.nodes - options.observers;
  options.min_in_sync = rng.one_in(3) ? static_cast<std::uint32_t>(rng.between(1, factor))
                                      : default_min_in_sync(factor);
  options.producers = static_cast<std::uint32_t>(rng.between(2, 6));
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
