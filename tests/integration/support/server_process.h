// A real andyx-server on loopback with a data directory of its own, which outlives its restarts.
// One thread. The port stays the same over restarts; it lies below the range that the kernel gives
// to outgoing connections, so that no client can take it while the server is down.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/support/process.h"
#include "tests/integration/support/temp_dir.h"

namespace andyx::test {

struct ServerOptions {
  std::vector<std::string> flags;        // after --data-dir and --listen
  std::vector<std::string> environment;  // "NAME=value"
  std::string data_dir;                  // empty: one of its own
};

class ServerProcess {
 public:
  explicit ServerProcess(ServerOptions options = {});  // not started yet
  ~ServerProcess();  // SIGKILL; the end of its log goes to stderr when a check failed

  // Starts and waits for "andyx-server ready on HOST:PORT"; REQUIREs it.
  void start();
  // Starts without waiting: for kills during recovery. `ready` then says whether it serves.
  void launch();
  bool ready();
  void wait_ready();  // REQUIREs

  bool running() { return process_ && process_->running(); }
  void kill_now() { process_->kill_now(); }  // kill -9, reaped
  // SIGTERM and the exit status; nothing when it has not ended within the deadline.
  std::optional<int> terminate(Millis deadline = kGenerous);
  Process& process() { return *process_; }

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& data_dir() const { return data_dir_; }
  std::size_t rss_bytes() const { return process_->rss_bytes(); }
  std::string log() const { return read_file(log_path_); }  // stderr of every start

 private:
  TempDir directory_;
  ServerOptions options_;
  std::string data_dir_, log_path_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

// A port on loopback that nobody listens on, below the ephemeral range.
std::uint16_t free_port();

}  // namespace andyx::test
