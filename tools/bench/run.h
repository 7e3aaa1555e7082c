// The runs of andyx-bench. Each blocks until it is over and gives what it found; an error is what
// kept it from running at all, errors while it ran are counted in the report.
#pragma once

#include "andyx/client.h"
#include "tools/bench/options.h"
#include "tools/bench/report.h"

namespace andyx::bench {

struct RunResult {
  Report report;
  std::optional<Error> error;  // the first one while it ran
};

Result<RunResult> run_limit_command(const Options& options);

// `control`: for describing and cleaning up; the load has connections of its own.
Result<RunResult> run_produce(const Options& options, client::Client& control);
Result<RunResult> run_consume(const Options& options, client::Client& control);
Result<RunResult> run_end_to_end(const Options& options, client::Client& control);
// Opens connections that stay silent, and asks the server what they cost it.
Result<RunResult> run_idle(const Options& options, client::Client& control);

// `limit` with the batches, the window and the rate of these producers, in --with-limit's
// directory; writing each byte as often as `write_factor` says. With a rate as long as they run.
Result<Report> limit_beside(const Options& options, std::uint32_t partitions,
                            std::optional<double> write_factor);

}  // namespace andyx::bench
