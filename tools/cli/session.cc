#include "tools/cli/session.h"

#include <algorithm>
#include <csignal>
#include <type_traits>

namespace andyx::cli {
namespace {

constexpr std::uint32_t kConnectTimeoutMs = 5'000;

template <typename C>
constexpr bool kOffline =
    std::is_same_v<C, MetadataRestore> || std::is_same_v<C, MetadataForceRecover>;

tools::ExitStatus ended(const Outcome& outcome, tools::ExitStatus (*status_of)(const Error&)) {
  if (outcome) return *outcome;
  tools::print_error("andyx-cli", outcome.error());
  return status_of(outcome.error());
}

tools::ExitStatus wrong_usage(const Error&) { return tools::kWrongUsage; }

tools::ExitStatus run_connected(const Arguments& arguments, client::Client client) {
  Session session{arguments.global, std::move(client)};
  const Outcome outcome = std::visit(
      [&session](const auto& command) -> Outcome {
        using C = std::decay_t<decltype(command)>;
        if constexpr (kOffline<C>) {
          return run_offline(command);
        } else {
          return run_command(session, command);
        }
      },
      arguments.command);
  return ended(outcome, tools::exit_status_of);
}

}  // namespace

tools::ExitStatus run(const Arguments& arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto* restore = std::get_if<MetadataRestore>(&arguments.command))
    return ended(run_offline(*restore), wrong_usage);
  if (const auto* recover = std::get_if<MetadataForceRecover>(&arguments.command))
    return ended(run_offline(*recover), wrong_usage);
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
  return run_connected(arguments, std::move(*client));
}

}  // namespace andyx::cli
