#include "tools/cli/session.h"

#include <algorithm>
#include <csignal>

namespace andyx::cli {
namespace {

constexpr std::uint32_t kConnectTimeoutMs = 5'000;

}  // namespace

tools::ExitStatus run(const Arguments& arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  const GlobalOptions& options = arguments.global;
  client::ClientOptions client_options;
  client_options.servers = {options.server};
  client_options.front_door = options.front_door;
  client_options.name = "andyx-cli";
  client_options.connect_timeout_ms = std::min(kConnectTimeoutMs, options.timeout_ms);
  client_options.request_timeout_ms = options.timeout_ms;
  Result<client::Client> client = client::Client::connect(std::move(client_options));
  if (!client) {
    tools::print_error("andyx-cli", client.error());
    return tools::exit_status_of_start(client.error());
  }
  Session session{options, std::move(*client)};
  const Outcome outcome = std::visit(
      [&session](const auto& command) { return run_command(session, command); }, arguments.command);
  if (outcome) return *outcome;
  tools::print_error("andyx-cli", outcome.error());
  return tools::exit_status_of(outcome.error());
}

}  // namespace andyx::cli
