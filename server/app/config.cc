#include "server/app/config.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <sstream>
#include <thread>

#include <CLI/CLI.hpp>

namespace andyx::server {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

CLI::Validator address_validator(bool may_be_empty) {
  return CLI::Validator(
      [may_be_empty](std::string& text) {
        if (text.empty() && may_be_empty) return std::string{};
        auto address = net::Address::parse(text);
        return address ? std::string{} : address.error().message;
      },
      "HOST:PORT");
}

// `"A"` or `"A,B,…"`, each as the validator wants it.
CLI::Validator list_of(const CLI::Validator& one) {
  return CLI::Validator(
      [one](std::string& text) {
        std::string error;
        for (std::string part : split(text)) {
          if (error.empty()) error = one(part);
        }
        return error;
      },
      one.get_description() + "[,...]");
}

constexpr std::uint16_t kPeerPortAbove = 1'000;

const std::map<std::string, std::uint8_t> kRoles{
    {"broker", kBrokerRole}, {"metadata", kMetadataRole}, {"balancer", kBalancerRole}};

struct RawAddresses {
  std::string listen, advertise, peer_listen, roles, join;
};

void add_cluster_options(CLI::App& app, RawAddresses& raw) {
  app.add_option("--peer-listen", raw.peer_listen,
                 "Address for the metadata peers of other nodes; default: --listen, 1000 ports "
                 "higher")
      ->envname("ANDYX_PEER_LISTEN")
      ->check(address_validator(true));
  app.add_option("--roles", raw.roles, "What this node does: broker, metadata, balancer")
      ->envname("ANDYX_ROLES")
      ->check(list_of(CLI::IsMember({"broker", "metadata", "balancer"})))
      ->capture_default_str();
  app.add_option("--join", raw.join,
                 "Nodes of the cluster that this node joins; without it, it begins one of its own")
      ->envname("ANDYX_JOIN")
      ->check(list_of(address_validator(false)));
}

void add_node_options(CLI::App& app, Config& config, RawAddresses& raw) {
  app.add_option("--data-dir", config.data_dir, "Directory of everything this node keeps")
      ->envname("ANDYX_DATA_DIR")
      ->capture_default_str();
  app.add_option("--listen", raw.listen, "Address to serve on; port 0 takes any free one")
      ->envname("ANDYX_LISTEN")
      ->check(address_validator(false))
      ->capture_default_str();
  app.add_option("--advertise", raw.advertise, "Address that clients are told; default: --listen")
      ->envname("ANDYX_ADVERTISE")
      ->check(address_validator(true));
  app.add_option("--node-id", config.node_id, "Id of this node in its cluster")
      ->envname("ANDYX_NODE_ID")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
  app.add_option("--cores", config.cores, "Event loops; 0: one for each CPU")
      ->envname("ANDYX_CORES")
      ->check(CLI::Range(0u, 256u))
      ->capture_default_str();
  app.add_option(
         "--busy-poll-us", config.busy_poll_us,
         "Microseconds that an event loop and the storage writer poll before they sleep, around small writes; 0: none")
      ->envname("ANDYX_BUSY_POLL_US")
      ->check(CLI::Range(0u, 10'000u))
      ->capture_default_str();
  app.add_option("--max-connections", config.max_connections, "Client connections at once")
      ->envname("ANDYX_MAX_CONNECTIONS")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
  app.add_option("--idle-timeout-ms", config.idle_timeout_ms,
                 "A silent connection is closed after this")
      ->envname("ANDYX_IDLE_TIMEOUT_MS")
      ->check(CLI::Range(1'000u, 86'400'000u))
      ->capture_default_str();
  app.add_option("--log-level", config.log_level, "debug, info, warn or error")
      ->envname("ANDYX_LOG_LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_option("--log-format", config.log_format, "text or json")
      ->envname("ANDYX_LOG_FORMAT")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

void add_topic_options(CLI::App& app, Config& config) {
  app.add_option("--auto-create-topics", config.auto_create_topics,
                 "Producing to a topic that does not exist creates it")
      ->envname("ANDYX_AUTO_CREATE_TOPICS")
      ->default_str("true");
  app.add_option("--default-partitions", config.default_partitions,
                 "Partitions of a topic that is created by producing")
      ->envname("ANDYX_DEFAULT_PARTITIONS")
      ->check(CLI::Range(1u, limits::kMaxPartitionsPerTopic))
      ->capture_default_str();
  app.add_option("--max-message-bytes", config.max_message_bytes,
                 "Key, headers and payload of one message")
      ->envname("ANDYX_MAX_MESSAGE_BYTES")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{limits::kMaxMessageBytes}))
      ->capture_default_str();
}

void add_storage_options(CLI::App& app, Config& config) {
  app.add_option("--fsync", config.fsync, "Sync to disk before acknowledging")
      ->envname("ANDYX_FSYNC")
      ->default_str("true");
  app.add_flag("--accept-data-loss", config.accept_data_loss,
               "Start although less was recovered than was acknowledged");
  app.add_option("--tail-cache-bytes", config.tail_cache_bytes, "Recent messages kept in memory")
      ->envname("ANDYX_TAIL_CACHE_BYTES")
      ->check(CLI::Range(std::uint64_t{limits::kMiB}, std::uint64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--generation-bytes", config.generation_bytes, "Size of a storage generation")
      ->envname("ANDYX_GENERATION_BYTES")
      ->check(CLI::Range(std::uint64_t{limits::kMiB}, std::uint64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--min-free-bytes", config.min_free_bytes,
                 "Producing is refused while the disk has less free; 0: a default")
      ->envname("ANDYX_MIN_FREE_BYTES")
      ->capture_default_str();
}

// The library lets a file win over the environment; ours is file < environment < flags. So what the
// environment says goes before the flags, and the last one counts. Reversed, as App::parse wants
// it.
std::vector<std::string> with_environment(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_envname().empty()) continue;
    const char* value = std::getenv(option->get_envname().c_str());
    if (value == nullptr || *value == '\0') continue;
    arguments.push_back(option->get_name() + "=" + value);
  }
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  std::ranges::reverse(arguments);
  return arguments;
}

// What has been checked option by option.
void take_addresses(Config& config, const RawAddresses& raw) {
  config.listen = *net::Address::parse(raw.listen);
  if (!raw.advertise.empty()) config.advertise = *net::Address::parse(raw.advertise);
  if (!raw.peer_listen.empty()) config.peer_listen = *net::Address::parse(raw.peer_listen);
  config.roles = 0;
  for (const std::string& role : split(raw.roles)) config.roles |= kRoles.at(role);
  for (const std::string& node : split(raw.join)) config.join.push_back(*net::Address::parse(node));
}

// What must fit together; empty: it does.
std::string contradiction(const Config& config) {
  const bool too_high =
      config.listen.port > std::numeric_limits<std::uint16_t>::max() - kPeerPortAbove;
  if (config.peer_listen.host.empty() && too_high) {
    return "--peer-listen: there is no port 1000 above " + config.listen.text() + "; give one";
  }
  if ((config.roles & kMetadataRole) == 0 && config.join.empty()) {
    return "--roles: a node without the role metadata needs a cluster to --join";
  }
  return {};
}

}  // namespace

net::Address Config::peer_address() const {
  if (!peer_listen.host.empty()) return peer_listen;
  const bool any = listen.port == 0;
  return {listen.host,
          any ? listen.port : static_cast<std::uint16_t>(listen.port + kPeerPortAbove)};
}

ParsedConfig parse_config(int argc, const char* const* argv) {
  ParsedConfig parsed;
  Config& config = parsed.config;
  RawAddresses raw{.listen = config.listen.text(),
                   .advertise = {},
                   .peer_listen = {},
                   .roles = "broker,metadata,balancer",
                   .join = {}};

  CLI::App app{"andyx-server: a node of Andy X, the distributed streaming platform",
               "andyx-server"};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version", "andyx-server " ANDYX_VERSION);
  app.set_config("--config", "",
                 "TOML file with any of these options; flags and ANDYX_* override it")
      ->envname("ANDYX_CONFIG")
      ->check(CLI::ExistingFile);
  app.allow_config_extras(false);
  add_node_options(app, config, raw);
  add_cluster_options(app, raw);
  add_topic_options(app, config);
  add_storage_options(app, config);
  bool print_config = false;
  app.add_flag("--print-config", print_config,
               "Print the configuration in force as TOML, and leave")
      ->configurable(false);

  try {
    app.parse(with_environment(app, argc, argv));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    int code = app.exit(error, out, err);
    parsed.printed = code == 0 ? out.str() : err.str();
    parsed.exit_code = code == 0 ? 0 : 1;
    return parsed;
  }
  take_addresses(config, raw);
  if (const std::string wrong = contradiction(config); !wrong.empty()) {
    parsed.printed = wrong + "\nRun with --help for more information.\n";
    parsed.exit_code = 1;
    return parsed;
  }
  if (config.cores == 0) config.cores = std::max(1u, std::thread::hardware_concurrency());
  if (print_config) {
    parsed.printed = app.config_to_str(true, false);
    parsed.exit_code = 0;
  }
  return parsed;
}

}  // namespace andyx::server
