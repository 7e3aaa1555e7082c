// Configuration: TOML file < environment ANDYX_* < flags, all checked before anything starts. A
// value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/limits.h"
#include "protocol/net/tcp.h"
#include "server/metadata/image.h"

namespace andyx::server {

struct Config {
  std::string data_dir = "./andyx-data";
  net::Address listen{"127.0.0.1", 6540};
  net::Address advertise;  // empty host: as `listen`
  // For the Raft peers of other nodes; empty host: that of `listen`, 1000 ports higher.
  net::Address peer_listen;
  NodeId node_id = 1;
  std::uint8_t roles = kAllRoles;
  std::vector<net::Address> join;    // nodes of the cluster to join; empty: begins one of its own
  std::uint32_t cores = 0;           // event loops; 0: one for each CPU
  std::uint32_t busy_poll_us = 200;  // of a loop (WriteQueue::busy_poll), of the storage writer
  bool fsync = true;
  bool accept_data_loss = false;
  bool auto_create_topics = true;
  std::uint32_t default_partitions = 1;
  std::uint32_t max_connections = limits::kMaxConnections;
  std::uint64_t max_message_bytes = limits::kMaxMessageBytes;
  std::uint64_t tail_cache_bytes = limits::kTailCacheBytes;  // of the node, shared by its loops
  std::uint64_t generation_bytes = limits::kGenerationBytes;
  std::uint64_t min_free_bytes = 0;  // 0: storage's default
  std::uint32_t idle_timeout_ms = limits::kIdleTimeoutMs;
  std::string log_level = "info";
  std::string log_format = "text";  // or json

  net::Address peer_address() const;
};

// What the command line asked for instead of, or before, serving.
struct ParsedConfig {
  Config config;
  std::string printed;           // --help, --version, --print-config: print this and leave
  std::optional<int> exit_code;  // set: leave with it; `printed` goes to stderr when it is not 0
};

ParsedConfig parse_config(int argc, const char* const* argv);

}  // namespace andyx::server
