// tools/cluster on a directory of its own: real nodes on loopback, as a user starts them; nothing
// of it is left behind. One thread.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/integration/support/cli.h"
#include "tests/integration/support/temp_dir.h"

namespace andyx::test {

class ClusterTool {
 public:
  explicit ClusterTool(int nodes = 1) : nodes_(std::to_string(nodes)), port_(free_port()) {}
  ~ClusterTool() { stop(); }
  ClusterTool(const ClusterTool&) = delete;
  ClusterTool& operator=(const ClusterTool&) = delete;

  CommandResult start() const {
    return run({nodes_, "--dir", directory_.path(), "--port", std::to_string(port_), "--detach"});
  }
  // Where others have taken one of the ports meanwhile, on other ones.
  void start_somewhere() {
    CommandResult said = start();
    for (int tries = 0; said.exit_code != 0 && tries < 4; ++tries) {
      stop();
      port_ = free_port();
      said = start();
    }
    REQUIRE_MESSAGE(said.exit_code == 0, said.out, said.err);
  }
  CommandResult stop() const { return run({"--stop", directory_.path()}); }
  std::string address(int node = 1) const {
    return "127.0.0.1:" + std::to_string(port_ + node - 1);
  }
  std::string log(int node) const {
    return read_file(directory_.file("node-" + std::to_string(node) + ".log"));
  }
  // kill -9 of a node.
  void kill(int node) const {
    const std::string name = directory_.file("node-" + std::to_string(node) + ".pid");
    const pid_t pid = std::stoi(read_file(name));
    REQUIRE(pid > 1);
    REQUIRE(::kill(pid, SIGKILL) == 0);
  }

 private:
  static std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : value;
  }
  static CommandResult run(std::vector<std::string> words) {
    words.insert(words.begin(), variable("ANDYX_CLUSTER_TOOL"));
    return run_command(
        {.argv = words, .environment = {"ANDYX_BUILD_DIR=" + variable("ANDYX_BUILD_DIR")}});
  }

  TempDir directory_;
  std::string nodes_;
  std::uint16_t port_;
};

}  // namespace andyx::test
