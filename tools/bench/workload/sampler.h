// Looks at a load and at the server's processes, period after period. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tools/bench/workload/live_workload.h"
#include "tools/bench/workload/result.h"

namespace andyx::bench {

class Sampler {
 public:
  // `pids`: of the server; empty: not seen.
  Sampler(LiveWorkload& load, std::uint32_t subscriptions, std::vector<pid_t> pids);

  // A new time of measuring begins now; latencies measured before are dropped.
  void begin();
  // What happened since the last call, or begin(). Its latencies are added to `total`.
  struct Totals {
    Histogram publish, delay, end_to_end;
  };
  Period take(Totals& total);

  double elapsed_s() const;                             // since begin()
  const LoadCounts& counts() const { return counts_; }  // as of the last look
  const LoadCounts& counts_at_begin() const { return begin_counts_; }
  // Waits until the server is nearly idle, at most ten seconds; its use since begin(). Empty: not
  // seen, or gone.
  std::optional<ServerUse> settle() const;

 private:
  LiveWorkload& load_;
  std::uint32_t subscriptions_;
  std::vector<pid_t> pids_;
  std::uint64_t begin_ns_ = 0, last_ns_ = 0;
  LoadCounts begin_counts_, counts_;
  std::optional<ProcessUsage> begin_usage_, usage_;
};

}  // namespace andyx::bench
