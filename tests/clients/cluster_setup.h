// Clients of a fake cluster, with little patience.
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
          .doubt_ms = 100,
          .backoff_min_ms = 1,
          .backoff_max_ms = 20};
}

// Doubts soon, and does not give up connections: what moves on has moved for another reason.
inline ClientOptions doubting_options(const test::FakeCluster& cluster) {
  auto options = cluster_options(cluster);
  options.ping_timeout_ms = 600'000;
  options.doubt_ms = 40;
  return options;
}

inline std::string nobody() {
  return net::claim_address({"127.0.0.1", 0}).value().address().text();
}

}  // namespace andyx::client
