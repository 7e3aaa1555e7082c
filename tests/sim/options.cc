#include "tests/sim/options.h"

#include <sstream>

#include "raft/core/types.h"
#include "tests/sim/rng.h"

namespace andyx::raft::sim {

namespace {

constexpr std::uint64_t kOptionsStream = 1;

void draw_core(Rng& rng, Options& options) {
  options.async_storage = rng.permille(500);
  options.pre_vote = rng.permille(500);
  options.check_quorum = rng.permille(600);
  options.lease = options.check_quorum && rng.permille(500);
  options.forward = rng.permille(700);
  options.validate = rng.permille(850);
  options.step_down_on_removal = rng.permille(500);
  options.election_ticks = static_cast<std::uint32_t>(rng.between(options.lease ? 8 : 4, 12));
  options.heartbeat_ticks = rng.permille(700) ? 1 : 2;
  options.max_append_bytes = rng.permille(300) ? kNoLimit : rng.between(0, 400);
  options.max_applying_bytes = rng.permille(500) ? 0 : rng.between(1, 400);
  options.max_uncommitted_bytes = rng.permille(700) ? kNoLimit : rng.between(200, 4000);
  options.max_inflight_appends = static_cast<std::uint32_t>(rng.between(1, 16));
  options.max_inflight_bytes = rng.permille(700) ? kNoLimit : rng.between(400, 2000);
}

void draw_host(Rng& rng, Options& options) {
  options.step_during_ready = rng.permille(500);
  options.durable_machine = rng.permille(400);
  options.atomic_writes = rng.permille(500) || options.membership;
  options.snapshot_every =
      static_cast<std::uint32_t>(rng.permille(300) ? rng.between(5, 20) : rng.between(20, 200));
  options.snapshot_keeps = static_cast<std::uint32_t>(rng.permille(400) ? 0 : rng.between(1, 20));
  options.sync_min = rng.between(50, 500);
  options.sync_max = options.sync_min + rng.between(1, 30) * kMillisecond;
  options.apply_max = rng.permille(500) ? 0 : rng.between(1, 50) * kMillisecond;
}

void draw_world(Rng& rng, Options& options) {
  // A lease is safe only while clocks agree: see Options::lease.
  options.drift = static_cast<std::uint32_t>(options.lease ? rng.below(11) : rng.below(250));
  options.loss = static_cast<std::uint32_t>(rng.permille(300) ? 0 : rng.between(1, 80));
  options.duplicate = static_cast<std::uint32_t>(rng.permille(300) ? 0 : rng.between(1, 80));
  options.reorder = static_cast<std::uint32_t>(rng.permille(300) ? 0 : rng.between(1, 200));
  options.straggle = static_cast<std::uint32_t>(rng.permille(300) ? 0 : rng.between(1, 20));
  options.delay_min = rng.between(100, 2000);
  options.delay_max = options.delay_min + rng.between(1, 80) * kMillisecond;
  options.fault_mean = rng.between(300, 3000) * kMillisecond;
  options.restless = rng.permille(200);
  if (options.restless) {
    options.fault_mean = rng.between(100, 600) * kMillisecond;
    options.straggle = static_cast<std::uint32_t>(rng.between(20, 150));
  }
  options.change_mean = rng.between(500, 8000) * kMillisecond;
  options.clients = static_cast<std::uint32_t>(rng.between(2, 6));
  options.think_max = rng.between(50, 1000) * kMillisecond;
}

}  // namespace

Options draw_options(std::uint64_t seed, Time duration) {
  Rng rng(seed, kOptionsStream);
  Options options;
  options.seed = seed;
  options.duration = duration;
  constexpr std::uint32_t kSizes[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 5};
  options.voters = kSizes[rng.below(std::size(kSizes))];
  options.learners = static_cast<std::uint32_t>(rng.permille(600) ? 0 : rng.between(1, 2));
  options.membership = rng.permille(700);
  draw_core(rng, options);
  draw_host(rng, options);
  draw_world(rng, options);
  return options;
}

std::string describe(const Options& options) {
  std::ostringstream out;
  const auto flag = [&out](const char* name, bool value) {
    if (value) {
      out << ' ' << name;
    }
  };
  const auto number = [&out](const char* name, std::uint64_t value) {
    out << ' ' << name << '=';
    if (value == kNoLimit) {
      out << "none";
    } else {
      out << value;
    }
  };
  out << "voters=" << options.voters;
  number("learners", options.learners);
  flag("membership", options.membership);
  flag("async-storage", options.async_storage);
  flag("pre-vote", options.pre_vote);
  flag("check-quorum", options.check_quorum);
  flag("lease", options.lease);
  flag("forward", options.forward);
  flag("validate", options.validate);
  flag("step-down-on-removal", options.step_down_on_removal);
  number("election-ticks", options.election_ticks);
  number("heartbeat-ticks", options.heartbeat_ticks);
  number("max-append-bytes", options.max_append_bytes);
  number("max-applying-bytes", options.max_applying_bytes);
  number("max-uncommitted-bytes", options.max_uncommitted_bytes);
  number("max-inflight-appends", options.max_inflight_appends);
  number("max-inflight-bytes", options.max_inflight_bytes);
  flag("step-during-ready", options.step_during_ready);
  flag("durable-machine", options.durable_machine);
  flag("atomic-writes", options.atomic_writes);
  number("snapshot-every", options.snapshot_every);
  number("snapshot-keeps", options.snapshot_keeps);
  number("drift", options.drift);
  number("loss", options.loss);
  number("duplicate", options.duplicate);
  number("reorder", options.reorder);
  number("straggle", options.straggle);
  number("delay-us-max", options.delay_max);
  number("sync-us-max", options.sync_max);
  number("apply-us-max", options.apply_max);
  flag("restless", options.restless);
  number("fault-ms", options.fault_mean / kMillisecond);
  number("change-ms", options.change_mean / kMillisecond);
  number("clients", options.clients);
  return std::move(out).str();
}

}  // namespace andyx::raft::sim
