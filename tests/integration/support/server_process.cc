#include "tests/integration/support/server_process.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <utility>

#include "tests/integration/support/failure_watch.h"

namespace andyx::test {
namespace {

bool port_is_free(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;  // else the TIME_WAIT of an earlier test would count as taken
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool ok = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return ok;
}

constexpr std::size_t kLogTailBytes = 4'000;

}  // namespace

std::uint16_t free_port() {
  std::random_device random;
  for (int attempt = 0; attempt < 1'000; ++attempt) {
    const auto port = static_cast<std::uint16_t>(10'000 + random() % 21'000);
    // A server's metadata peer listens 1000 ports higher.
    if (port_is_free(port) && port_is_free(static_cast<std::uint16_t>(port + 1'000))) return port;
  }
  FAIL("no free port between 10000 and 31000");
  return 0;
}

ServerProcess::ServerProcess(ServerOptions options)
    : options_(std::move(options)),
      data_dir_(options_.data_dir.empty() ? directory_.file("data") : options_.data_dir),
      log_path_(directory_.file("server.log")),
      port_(free_port()) {}

ServerProcess::~ServerProcess() {
  if (process_) process_->kill_now();
  if (!any_failure()) return;
  const std::string text = log();
  const std::size_t from = text.size() > kLogTailBytes ? text.size() - kLogTailBytes : 0;
  std::fprintf(stderr, "--- end of the server's log (%s)\n%s\n---\n", log_path_.c_str(),
               text.c_str() + from);
}

void ServerProcess::launch() {
  Launch launch{
      .argv = {server_binary(), "--data-dir", data_dir_, "--listen", address()},
      .environment = options_.environment,
      .stderr_path = log_path_,
      .directory = directory_.path(),  // where a core would be
  };
  launch.argv.insert(launch.argv.end(), options_.flags.begin(), options_.flags.end());
  process_ = std::make_unique<Process>(std::move(launch));
}

bool ServerProcess::ready() {
  return process_->out().find("andyx-server ready on " + address() + "\n") != std::string::npos;
}

void ServerProcess::wait_ready() {
  wait_until([&] { return ready() || !process_->running(); });
  REQUIRE_MESSAGE(ready(), "the server is not ready; stdout: ", process_->out(), " log: ", log());
}

void ServerProcess::start() {
  launch();
  wait_ready();
}

std::optional<int> ServerProcess::terminate(Millis deadline) {
  process_->send_signal(SIGTERM);
  return process_->wait(deadline);
}

}  // namespace andyx::test
