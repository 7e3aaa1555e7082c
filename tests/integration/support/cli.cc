#include "tests/integration/support/cli.h"

#include <doctest/doctest.h>

#include <utility>

namespace andyx::test {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += " " + word.substr(0, 80);
  return text;
}

}  // namespace

Launch Cli::launch(std::vector<std::string> arguments, std::string input) const {
  Launch launch{.argv = {cli_binary(), "--server", address_}, .input = std::move(input)};
  launch.argv.insert(launch.argv.end(), arguments.begin(), arguments.end());
  return launch;
}

CommandResult Cli::run(std::vector<std::string> arguments, std::string input) const {
  return run_command(launch(std::move(arguments), std::move(input)), Millis(60'000));
}

std::string Cli::ok(std::vector<std::string> arguments, std::string input) const {
  const CommandResult result = run(arguments, std::move(input));
  INFO("andyx-cli", joined(arguments), " said: ", result.err);
  REQUIRE(result.exit_code == kDone);
  return result.out;
}

Json Cli::json(std::vector<std::string> arguments, std::string input) const {
  arguments.insert(arguments.begin(), {"--output", "json"});
  return Json::parse(ok(std::move(arguments), std::move(input)));
}

std::vector<Json> Cli::json_lines(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"--print", "json"});
  std::vector<Json> result;
  for (const std::string& line : split_lines(ok(std::move(arguments)))) {
    result.push_back(Json::parse(line));
  }
  return result;
}

void Cli::refused(ErrorCode code, std::vector<std::string> arguments, std::string input) const {
  const CommandResult result = run(arguments, std::move(input));
  INFO("andyx-cli", joined(arguments), " printed: ", result.out);
  CHECK(result.exit_code == kRefused);
  check_error_text(result.err, code);
}

std::unique_ptr<Process> Cli::start(std::vector<std::string> arguments) const {
  return std::make_unique<Process>(launch(std::move(arguments), {}));
}

ServerProcess& shared_server() {
  static ServerProcess server;
  if (!server.running()) server.start();
  return server;
}

void check_error_text(const std::string& text, ErrorCode code) {
  const ErrorInfo& info = error_info(code);
  INFO("stderr: ", text);
  CHECK_MESSAGE(text.find(info.name) != std::string::npos, "no ", info.name);
  CHECK_MESSAGE(text.find(info.remedy) != std::string::npos, "no remedy");
}

}  // namespace andyx::test
