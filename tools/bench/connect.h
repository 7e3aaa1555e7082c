// A connection of the load's own to the cluster under test. Any thread; blocks.
#pragma once

#include "andyx/client.h"
#include "tools/bench/options.h"

namespace andyx::bench {

inline Result<client::Client> connect(const Options& options) {
  client::ClientOptions client_options;
  client_options.servers = {options.server};
  client_options.name = "andyx-bench";
  client_options.request_timeout_ms = options.timeout_ms;
  return client::Client::connect(std::move(client_options));
}

}  // namespace andyx::bench
