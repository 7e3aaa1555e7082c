// andyx-cli against a running server, as scripts use it. Any thread; each call starts a process.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "tests/integration/support/process.h"
#include "tests/integration/support/server_process.h"

namespace andyx::test {

using Json = nlohmann::json;

// What the CLI's exit status means (the numbers are part of its contract).
inline constexpr int kDone = 0, kWrongUsage = 1, kNotReachable = 2, kRefused = 3, kTimedOut = 4;

class Cli {
 public:
  explicit Cli(const ServerProcess& server) : address_(server.address()) {}
  explicit Cli(std::string address) : address_(std::move(address)) {}

  CommandResult run(std::vector<std::string> arguments, std::string input = {}) const;
  // REQUIREs status 0; stdout.
  std::string ok(std::vector<std::string> arguments, std::string input = {}) const;
  // The same with --output json, parsed.
  Json json(std::vector<std::string> arguments, std::string input = {}) const;
  // The same for commands that print a JSON object on each line (--print json).
  std::vector<Json> json_lines(std::vector<std::string> arguments) const;
  // CHECKs status 3, and the error's number, name and remedy on stderr.
  void refused(ErrorCode code, std::vector<std::string> arguments, std::string input = {}) const;
  // Goes on beside the test.
  std::unique_ptr<Process> start(std::vector<std::string> arguments) const;

 private:
  Launch launch(std::vector<std::string> arguments, std::string input) const;
  std::string address_;
};

// One server for all tests of an executable that need no special settings; topics keep them apart.
ServerProcess& shared_server();

// The remedy that belongs to `code` and its name stand in `text`.
void check_error_text(const std::string& text, ErrorCode code);

}  // namespace andyx::test
