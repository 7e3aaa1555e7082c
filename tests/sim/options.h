// What a seed decides before its run begins: the group, the core's settings, how bad the world is.
#pragma once

#include <cstdint>
#include <string>

namespace andyx::raft::sim {

using Time = std::uint64_t;  // virtual, microseconds since the start of the run
inline constexpr Time kMillisecond = 1000;
inline constexpr Time kSecond = 1000 * kMillisecond;

struct Options {
  std::uint64_t seed = 0;
  Time duration = 0;  // of the part with faults; the healing comes on top

  // The group.
  std::uint32_t voters = 3;
  std::uint32_t learners = 0;
  bool membership = true;  // changes while it runs

  // The core.
  bool async_storage = false;
  bool pre_vote = false;
  bool check_quorum = false;
  bool lease =
      false;  // lease reads: only with check_quorum, little drift and hosts that keep the rules
  bool forward = true;
  bool validate = true;  // off: the state machine orders the changes (compare-and-set of a version)
  bool step_down_on_removal = false;
  std::uint32_t election_ticks = 10;
  std::uint32_t heartbeat_ticks = 1;
  Time tick = 100 * kMillisecond;
  std::uint64_t max_append_bytes = 0;
  std::uint64_t max_applying_bytes = 0;
  std::uint64_t max_uncommitted_bytes = 0;
  std::uint32_t max_inflight_appends = 0;
  std::uint64_t max_inflight_bytes = 0;

  // The host.
  bool step_during_ready = false;  // input between ready() and advance(), instead of waiting
  bool durable_machine =
      false;  // the state machine has a disk of its own; else rebuilt from snapshots
  // Entries and hard state of one ready survive together or not at all. Always with changes of
  // membership: a log with two of them that lost the commit index which came with the second would
  // let its peer campaign by a membership two changes old.
  bool atomic_writes = false;
  std::uint32_t snapshot_every = 0;  // applied entries
  std::uint32_t snapshot_keeps = 0;  // entries before the snapshot that stay in the log

  // The world. Chances in thousandths.
  std::uint32_t drift = 0;  // of each node's tick, plus or minus
  std::uint32_t loss = 0;
  std::uint32_t duplicate = 0;
  std::uint32_t reorder = 0;
  std::uint32_t straggle = 0;  // arrives seconds later
  Time delay_min = 0;
  Time delay_max = 0;
  Time sync_min = 0;
  Time sync_max = 0;
  Time apply_max = 0;
  bool restless = false;  // campaigns and cuts all the time
  Time fault_mean = 0;    // between faults
  Time change_mean = 0;   // between membership changes
  std::uint32_t clients = 4;
  Time think_max = 0;
};

Options draw_options(std::uint64_t seed, Time duration);
std::string describe(const Options& options);

}  // namespace andyx::raft::sim
