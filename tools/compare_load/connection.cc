#include "tools/compare_load/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace andyx::compare {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

std::unexpected<Error> io_error(const char* what) {
  return fail(ErrorCode::kIo, std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

Result<Connection> Connection::open(std::uint16_t port) {
  bench::FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return io_error("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return io_error(("connecting to 127.0.0.1:" + std::to_string(port)).c_str());
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) return io_error("fcntl");
  return Connection(std::move(socket));
}

Status Connection::exchange(bool wait) {
  pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  if (sent_ < out_.size()) ready.events |= POLLOUT;
  const int count = ::poll(&ready, 1, wait ? kSilenceMs : 0);
  if (count < 0 && errno != EINTR) return io_error("poll");
  if (count == 0 && wait) return fail(ErrorCode::kTimedOut, "the peer is silent");
  if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
    if (Status read = read_some(); !read) return read;
  }
  if ((ready.revents & POLLOUT) != 0) return write_some();
  return {};
}

Status Connection::await(std::size_t count) {
  while (in().size() < count) {
    if (Status done = exchange(true); !done) return done;
  }
  return {};
}

Status Connection::write_some() {
  const ssize_t count =
      ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? Status{} : Status(io_error("send"));
  sent_ += static_cast<std::size_t>(count);
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  } else if (sent_ >= kEnoughQueued) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  return {};
}

Status Connection::read_some() {
  if (taken_ == in_.size()) {
    in_.clear();
    taken_ = 0;
  } else if (taken_ >= kReadBytes) {
    in_.erase(0, taken_);
    taken_ = 0;
  }
  const std::size_t before = in_.size();
  ssize_t count = 0;
  in_.resize_and_overwrite(before + kReadBytes, [&](char* data, std::size_t) {
    count = ::recv(socket_.get(), data + before, kReadBytes, 0);
    return before + (count > 0 ? static_cast<std::size_t>(count) : 0);
  });
  if (count > 0) return {};
  if (count == 0) return fail(ErrorCode::kConnectionLost, "the peer closed the connection");
  return errno == EAGAIN || errno == EINTR ? Status{} : Status(io_error("recv"));
}

}  // namespace andyx::compare
