// Clients of a fake cluster that give up on silent nodes soon.
#pragma once

#include <string>
#include <thread>
#include <utility>

#include "andyx/client.h"
#include "tests/clients/fake_cluster.h"

namespace andyx::client {

inline ClientOptions cluster_options(const test::FakeCluster& cluster) {
  return {.servers = {cluster.servers()},
          .ping_timeout_ms = 300,
          .backoff_min_ms = 1,
          .backoff_max_ms = 20};
}

inline std::string nobody() {
  return net::claim_address({"127.0.0.1", 0}).value().address().text();
}

}  // namespace andyx::client
