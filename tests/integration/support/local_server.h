// A server in this process, on a file system that tests command. One thread.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string>

#include "server/app/server.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::test {

// Small generations, so that a short workload sees several of them.
inline constexpr std::uint64_t kSmallGeneration = 1 << 20;
inline constexpr std::uint64_t kMinFreeBytes = 64 << 20;

inline Result<std::unique_ptr<server::Server>> start_local_server(
    const std::string& data_dir, std::shared_ptr<rocksdb::FileSystem> file_system = nullptr,
    bool accept_data_loss = false) {
  server::Config config;
  config.data_dir = data_dir;
  config.listen = {"127.0.0.1", 0};
  config.cores = 2;
  config.generation_bytes = kSmallGeneration;
  config.min_free_bytes = kMinFreeBytes;
  config.accept_data_loss = accept_data_loss;
  return server::Server::start(std::move(config), std::move(file_system));
}

inline RawConnection open_local(const server::Server& server) {
  RawConnection connection(server.address().port);
  connection.hello();
  return connection;
}

}  // namespace andyx::test
