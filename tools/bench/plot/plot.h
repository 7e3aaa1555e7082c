// `andyx-bench plot`: reports of `run --json`, or of the OpenMessaging Benchmark, as one picture.
#pragma once

#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "tools/bench/plot/svg.h"

namespace andyx::bench {

// Latency percentiles, and throughput over time, of one report for each text. kBadArgument where
// one has neither.
Result<std::vector<Panel>> panels_of(const std::vector<std::string>& reports);

// Reads the files and writes the SVG; "-": to standard output. kIo, kBadArgument.
Status run_plot(const std::string& out_file, const std::vector<std::string>& files);

}  // namespace andyx::bench
