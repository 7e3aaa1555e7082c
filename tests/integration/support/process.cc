#include "tests/integration/support/process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

namespace andyx::test {
namespace {

std::vector<std::string> child_environment(const std::vector<std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    // The settings of the machine that tests run on must not leak into what is tested.
    if (!std::string_view(*entry).starts_with("ANDYX_")) result.emplace_back(*entry);
  }
  result.insert(result.end(), added.begin(), added.end());
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

bool redirect(const char* path, int flags, int target) {
  const int fd = open(path, flags, 0644);
  if (fd < 0) return false;
  if (fd == target) return true;
  const bool ok = dup2(fd, target) >= 0;
  close(fd);
  return ok;
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string binary(const char* variable) {
  const char* path = getenv(variable);
  REQUIRE_MESSAGE(path != nullptr, std::string(variable),
                  " is not set: run the suite through meson test");
  return path;
}

}  // namespace

Process::Process(Launch launch) {
  stdout_path_ = launch.stdout_path.empty() ? directory_.file("stdout") : launch.stdout_path;
  stderr_path_ = launch.stderr_path.empty() ? directory_.file("stderr") : launch.stderr_path;
  std::string stdin_path = "/dev/null";
  if (!launch.input.empty()) {
    stdin_path = directory_.file("stdin");
    write_file(stdin_path, launch.input);
  }
  const std::string work = launch.directory.empty() ? directory_.path() : launch.directory;
  std::vector<std::string> environment = child_environment(launch.environment);
  // Everything is allocated before fork: the child of a process with threads may only call exec.
  std::vector<char*> argv = pointers(launch.argv);
  std::vector<char*> envp = pointers(environment);

  pid_ = fork();
  REQUIRE_MESSAGE(pid_ >= 0, "fork: ", std::string(std::strerror(errno)));
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    constexpr int kWrite = O_WRONLY | O_CREAT | O_APPEND;
    if (chdir(work.c_str()) == 0 && redirect(stdin_path.c_str(), O_RDONLY, 0) &&
        redirect(stdout_path_.c_str(), kWrite, 1) && redirect(stderr_path_.c_str(), kWrite, 2)) {
      close_range(3, ~0U, 0);
      execvpe(argv[0], argv.data(), envp.data());
    }
    _exit(127);
  }
}

Process::~Process() { kill_now(); }

void Process::reap(int flags) {
  int status = 0;
  if (!status_ && waitpid(pid_, &status, flags) == pid_) status_ = exit_code_of(status);
}

bool Process::running() {
  reap(WNOHANG);
  return !status_;
}

void Process::send_signal(int signal) {
  if (running()) kill(pid_, signal);
}

std::optional<int> Process::wait(Millis deadline) {
  wait_until([&] { return !running(); }, deadline);
  return status_;
}

int Process::kill_now() {
  if (!status_) kill(pid_, SIGKILL);
  reap(0);
  return status_.value_or(-1);
}

std::size_t Process::rss_bytes() const {
  std::ifstream in("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

CommandResult run_command(Launch launch, Millis deadline) {
  Process process(std::move(launch));
  const std::optional<int> status = process.wait(deadline);
  return {.exit_code = status.value_or(-1), .out = process.out(), .err = process.err()};
}

std::string server_binary() { return binary("ANDYX_SERVER_BIN"); }
std::string cli_binary() { return binary("ANDYX_CLI_BIN"); }

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace andyx::test
