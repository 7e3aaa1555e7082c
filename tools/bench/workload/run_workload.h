// `andyx-bench run`: a workload from its first topic to its result. Blocks; one thread. A signal
// (SIGINT, SIGTERM) ends the run early, with what was measured until then.
#pragma once

#include "andyx/client.h"
#include "tools/bench/options.h"
#include "tools/bench/workload/result.h"

namespace andyx::bench {

// An error is what kept it from running at all; errors while it ran are in the result.
Result<WorkloadResult> run_workload(const Options& options, Workload workload,
                                    client::Client& control);

}  // namespace andyx::bench
