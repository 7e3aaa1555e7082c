// What a seed draws for its run.
#pragma once

#include <cstdint>

namespace andyx::server::sim {

using Time = std::uint64_t;  // microseconds of virtual time
inline constexpr Time kMs = 1'000;
inline constexpr Time kSecond = 1'000 * kMs;

struct Options {
  std::uint64_t seed = 1;
  Time duration = 30 * kSecond;  // with faults; then everything heals
  std::uint32_t nodes = 3;
  std::uint32_t partitions = 1;
  std::uint32_t factor = 3;  // copies of each
  bool observer = false;     // one more copy of each, where there is a node for it
  std::uint32_t producers = 4;
  std::uint32_t subscriptions = 1;
  Time produce_every = 200 * kMs;     // each producer a batch, on average
  Time fault_every = kSecond;         // on average
  std::uint32_t loss_permille = 5;    // of messages between nodes
  std::uint32_t twice_permille = 10;  // delivered once more, later
  std::uint32_t late_permille = 10;   // delivered very late
  Time late_by = 500 * kMs;           // at most
  Time sync_time = 2 * kMs;           // of a disk, on average
  std::uint32_t slow_disk_ms = 0;     // a slow disk is reported as hung for so long
  bool closes_heard = true;           // the controller hears of a process that ends
  bool retention = false;
  bool forced_elections = false;
  bool wiped_disks = true;
  bool lazy_sync =
      false;  // written counts as durable: who crashes has lost some of it, and says so
  bool set_changes_only = false;  // of the faults only those around changes of the in-sync set
};

Options draw_options(std::uint64_t seed);

}  // namespace andyx::server::sim
