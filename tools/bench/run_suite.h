// `andyx-bench subscriptions`: what issue 3 promises about delivery, in figures.
#pragma once

#include "andyx/client.h"
#include "tools/bench/options.h"
#include "tools/bench/suite_report.h"

namespace andyx::bench {

struct SuiteResult {
  SuiteReport report;          // the rows of the parts that were run to their end
  std::optional<Error> error;  // why the others are missing
  bool interrupted = false;    // by SIGINT or SIGTERM
};

// Blocks. Leaves no topic behind unless the server is gone, or deleting one fails (on stderr).
SuiteResult run_suite(const Options& options, client::Client& control);

}  // namespace andyx::bench
