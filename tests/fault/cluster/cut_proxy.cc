#include "tests/fault/cluster/cut_proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/fault/cluster/proxy_connection.h"

namespace andyx::test::fault {
namespace {

constexpr std::uint64_t kLongestPollMs = 1'000;

Result<int> listen_on(const net::Address& address) {
  const auto failed = [&](int fd) {
    const int reason = errno;
    if (fd >= 0) close(fd);
    return fail(reason == EADDRINUSE ? ErrorCode::kAddressInUse : ErrorCode::kIo,
                "the proxy cannot listen on " + address.text() + ": " + std::strerror(reason));
  };
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed(fd);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.port);
  inet_pton(AF_INET, address.host.c_str(), &to.sin_addr);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return failed(fd);
  if (listen(fd, SOMAXCONN) != 0) return failed(fd);
  return fd;
}

}  // namespace

Result<std::unique_ptr<CutProxy>> CutProxy::start(std::vector<Door> doors) {
  std::vector<Listening> listening;
  for (Door& door : doors) {
    const Result<int> fd = listen_on(door.listen);
    if (!fd) {
      for (const Listening& before : listening) close(before.fd);
      return std::unexpected(fd.error());
    }
    listening.push_back({std::move(door), *fd});
  }
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return std::unique_ptr<CutProxy>(new CutProxy(std::move(listening), wake_fd));
}

CutProxy::CutProxy(std::vector<Listening> doors, int wake_fd)
    : doors_(std::move(doors)), wake_fd_(wake_fd), thread_([this] { run(); }) {}

CutProxy::~CutProxy() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
  for (const Listening& door : doors_) close(door.fd);
  close(wake_fd_);
}

void CutProxy::set(NodeId from, NodeId to, LinkState state) {
  {
    const std::scoped_lock lock(mutex_);
    links_[{from, to}] = state;
  }
  wake();
}

void CutProxy::heal() {
  {
    const std::scoped_lock lock(mutex_);
    links_.clear();
  }
  wake();
}

void CutProxy::renumber(NodeId before, NodeId behind) {
  const std::scoped_lock lock(mutex_);
  for (Listening& door : doors_) {
    if (door.door.node == before) door.door.node = behind;
  }
}

void CutProxy::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof one);
}

void CutProxy::run() {
  while (turn()) {
  }
  connections_.clear();
}

bool CutProxy::turn() {
  std::vector<pollfd> fds = {{wake_fd_, POLLIN, 0}};
  for (const Listening& door : doors_) fds.push_back({door.fd, POLLIN, 0});
  const std::uint64_t before_ms = net::monotonic_ns() / 1'000'000;
  std::uint64_t wake_ms = before_ms + kLongestPollMs;
  for (const auto& connection : connections_) connection->wait_for(fds, before_ms, wake_ms);
  poll(fds.data(), fds.size(), static_cast<int>(wake_ms - std::min(wake_ms, before_ms)));
  std::uint64_t wakes = 0;
  [[maybe_unused]] const ssize_t n = read(wake_fd_, &wakes, sizeof wakes);

  Links links;
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return false;
    links = links_;
    for (const Listening& door : doors_) accept_all(door);
  }
  const auto link_of = [&](NodeId from, NodeId to) {
    const auto link = links.find({from, to});
    return link == links.end() ? LinkState{} : link->second;
  };
  const std::uint64_t now_ms = net::monotonic_ns() / 1'000'000;
  std::erase_if(connections_,
                [&](const auto& connection) { return !connection->work(link_of, now_ms); });
  return true;
}

void CutProxy::accept_all(const Listening& door) {
  for (;;) {
    const int fd = accept4(door.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_.push_back(std::make_unique<ProxyConnection>(fd, door.door.node, door.door.target));
  }
}

}  // namespace andyx::test::fault
