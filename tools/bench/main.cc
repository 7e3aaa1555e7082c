#include <algorithm>
#include <csignal>
#include <cstdio>

#include "tools/bench/options.h"
#include "tools/bench/plot/plot.h"
#include "tools/bench/run.h"
#include "tools/bench/run_suite.h"
#include "tools/bench/workload/run_workload.h"

namespace andyx::bench {
namespace {

constexpr const char* kProgram = "andyx-bench";
constexpr std::uint32_t kConnectTimeoutMs = 5'000;

tools::ExitStatus finish(const Options& options, const Result<RunResult>& result) {
  if (!result) {
    tools::print_error(kProgram, result.error());
    return tools::exit_status_of(result.error());
  }
  if (options.json_file != "-") std::fputs(to_text(result->report).c_str(), stdout);
  if (!options.json_file.empty()) {
    if (Status written = write_json(result->report, options.json_file); !written) {
      tools::print_error(kProgram, written.error());
      return tools::kWrongUsage;
    }
  }
  if (!result->error) return tools::kDone;
  tools::print_error(kProgram, *result->error);
  return tools::exit_status_of(*result->error);
}

tools::ExitStatus finish_suite(const Options& options, const SuiteResult& result) {
  if (options.json_file != "-" && !result.report.rows.empty()) {
    std::fputs(to_table(result.report).c_str(), stdout);
  }
  if (!options.json_file.empty()) {
    if (Status written = write_text(to_json(result.report), options.json_file); !written) {
      tools::print_error(kProgram, written.error());
      return tools::kWrongUsage;
    }
  }
  if (result.interrupted) {
    // Ends as if it had not been caught, now that its topics are deleted.
    std::fflush(stdout);
    std::raise(SIGINT);
  }
  if (!result.error) return tools::kDone;
  tools::print_error(kProgram, *result.error);
  return tools::exit_status_of(*result.error);
}

tools::ExitStatus finish_workload(const Options& options, const Result<WorkloadResult>& result) {
  if (!result) {
    tools::print_error(kProgram, result.error());
    return tools::exit_status_of(result.error());
  }
  if (options.json_file != "-") std::fputs(to_text(*result).c_str(), stdout);
  if (!options.json_file.empty()) {
    if (Status written = write_text(to_json(*result), options.json_file); !written) {
      tools::print_error(kProgram, written.error());
      return tools::kWrongUsage;
    }
  }
  if (result->interrupted) {
    std::fflush(stdout);
    std::raise(SIGINT);
  }
  if (!result->error) return tools::kDone;
  tools::print_error(kProgram, *result->error);
  return tools::exit_status_of(*result->error);
}

tools::ExitStatus run(const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);
  if (options.command == BenchCommand::kLimit) return finish(options, run_limit_command(options));
  if (options.command == BenchCommand::kPlot) {
    const Status drawn = run_plot(options.plot.out_file, options.plot.files);
    if (drawn) return tools::kDone;
    tools::print_error(kProgram, drawn.error());
    return tools::kWrongUsage;
  }
  Workload workload;
  if (options.command == BenchCommand::kRun) {
    auto loaded = load_workload(options.workload.file);
    if (!loaded) {
      tools::print_error(kProgram, loaded.error());
      return tools::kWrongUsage;
    }
    workload = std::move(*loaded);
  }
  client::ClientOptions client_options;
  client_options.servers = {options.server};
  client_options.name = kProgram;
  client_options.connect_timeout_ms = std::min(kConnectTimeoutMs, options.timeout_ms);
  client_options.request_timeout_ms = options.timeout_ms;
  Result<client::Client> control = client::Client::connect(std::move(client_options));
  if (!control) {
    tools::print_error(kProgram, control.error());
    return tools::exit_status_of_start(control.error());
  }
  switch (options.command) {
    case BenchCommand::kProduce:
      return finish(options, run_produce(options, *control));
    case BenchCommand::kConsume:
      return finish(options, run_consume(options, *control));
    case BenchCommand::kIdle:
      return finish(options, run_idle(options, *control));
    case BenchCommand::kSubscriptions:
      return finish_suite(options, run_suite(options, *control));
    case BenchCommand::kRun:
      return finish_workload(options, run_workload(options, std::move(workload), *control));
    default:
      return finish(options, run_end_to_end(options, *control));
  }
}

}  // namespace
}  // namespace andyx::bench

int main(int argc, char** argv) {
  const auto parsed = andyx::bench::parse_options(argc, argv);
  if (const auto* status = std::get_if<andyx::tools::ExitStatus>(&parsed)) return *status;
  return andyx::bench::run(std::get<andyx::bench::Options>(parsed));
}
