#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "protocol/net/uv_connection.h"
#include "protocol/net/uv_owned_handle.h"
#include "protocol/net/uv_resolve.h"

namespace andyx::net {
namespace {

constexpr int kBacklog = 1'024;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::unexpected<Error> cannot_listen(const Address& address, int error) {
  const auto code = error == EADDRINUSE                         ? ErrorCode::kAddressInUse
                    : error == EACCES || error == EADDRNOTAVAIL ? ErrorCode::kBadArgument
                                                                : ErrorCode::kIo;
  return fail(code, "cannot listen on " + address.text() + ": " + std::strerror(error));
}

// Binds a new socket; returns errno or 0.
int bind_socket(const Socket& socket, const SocketAddress& address, bool share_port) {
  const int on = 1;
  if (socket.fd() < 0) return errno;
  if (setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return errno;
  if (share_port && setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    return errno;
  if (bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), length_of(address)) != 0)
    return errno;
  return 0;
}

int new_socket(const SocketAddress& address) {
  return ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

std::uint16_t bound_port(int fd) {
  SocketAddress bound{};
  socklen_t length = sizeof bound;
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length);
  return port_of(bound);
}

constexpr int kProbeAttempts = 8;

struct Probed {
  int fd = -1;  // bound, does not listen
  int error = 0;
  bool may_be_another_probe = false;  // which goes within microseconds, or stays as a claim
};

Probed probe(const SocketAddress& address) {
  const Socket alone(new_socket(address));
  if (const int error = bind_socket(alone, address, false); error != 0) return {.error = error};
  // Sockets that are bound, but do not listen (yet), are only found by listening. Two probes at
  // once refuse each other.
  if (::listen(alone.fd(), 1) != 0) {
    const int error = errno;
    return {.error = error, .may_be_another_probe = error == EADDRINUSE};
  }
  // The claim takes its place before it goes: other probes meet one of the two at every instant.
  const int on = 1;
  if (setsockopt(alone.fd(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    return {.error = errno};
  SocketAddress same{};
  socklen_t length = sizeof same;
  if (getsockname(alone.fd(), reinterpret_cast<sockaddr*>(&same), &length) != 0)
    return {.error = errno};
  Socket claim(new_socket(same));
  if (const int error = bind_socket(claim, same, true); error != 0) return {.error = error};
  // With SO_REUSEADDR it would stand in nobody's way.
  const int off = 0;
  if (setsockopt(claim.fd(), SOL_SOCKET, SO_REUSEADDR, &off, sizeof off) != 0)
    return {.error = errno};
  return {.fd = claim.release()};
}

class ListenerState final : public OwnedHandle<uv_tcp_t> {
 public:
  ListenerState(UvLoop& loop, OnAccept on_accept) : loop_(loop), on_accept_(std::move(on_accept)) {
    uv_tcp_init(loop.uv(), &handle_);
    hang_on();
  }

  // Takes the descriptor over; a libuv error or 0.
  int listen(Socket& socket) {
    const int rc = uv_tcp_open(&handle_, socket.fd());
    if (rc != 0) return rc;
    socket.release();
    return uv_listen(reinterpret_cast<uv_stream_t*>(&handle_), kBacklog,
                     [](uv_stream_t* stream, int status) {
                       auto& state = of<ListenerState>(stream->data);
                       if (status == 0) state.accept();
                     });
  }

 private:
  void accept() {
    auto core = UvConnection::make(loop_);
    if (core == nullptr) return;
    if (uv_accept(reinterpret_cast<uv_stream_t*>(&handle_), core->stream()) != 0) {
      core->abort(Error{ErrorCode::kConnectionLost, "gone before it was accepted"});
      return;
    }
    auto connection = core->established();
    if (owned()) on_accept_(std::move(connection));
  }

  UvLoop& loop_;
  OnAccept on_accept_;
};

class UvListener final : public Listener {
 public:
  UvListener(ListenerState* state, std::uint16_t port) : state_(state), port_(port) {}
  UvListener(const UvListener&) = delete;
  UvListener& operator=(const UvListener&) = delete;
  ~UvListener() override { state_->release(); }
  std::uint16_t port() const override { return port_; }

 private:
  ListenerState* state_;
  std::uint16_t port_;
};

}  // namespace

AddressClaim::AddressClaim(AddressClaim&& other) noexcept
    : address_(std::move(other.address_)), fd_(std::exchange(other.fd_, -1)) {}

AddressClaim& AddressClaim::operator=(AddressClaim&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(fd_, other.fd_);
  return *this;
}

AddressClaim::~AddressClaim() {
  if (fd_ >= 0) ::close(fd_);
}

Result<AddressClaim> claim_address(const Address& address) {
  const auto target = resolve_to_bind(address);
  if (!target) return std::unexpected(target.error());
  for (int attempt = 0;; ++attempt) {
    const Probed probed = probe(*target);
    if (probed.fd >= 0)
      return AddressClaim({.host = address.host, .port = bound_port(probed.fd)}, probed.fd);
    if (!probed.may_be_another_probe || attempt == kProbeAttempts)
      return cannot_listen(address, probed.error);
    // Different in every process that started together with this one.
    const auto apart = std::chrono::microseconds(997) * (getpid() % 16);
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + attempt) + apart);
  }
}

Result<std::unique_ptr<Listener>> listen(Loop& loop, const Address& address, OnAccept on_accept) {
  auto& uv_loop = UvLoop::of(loop);
  if (uv_loop.closing()) return fail(ErrorCode::kShuttingDown, "the event loop has stopped");
  const auto target = resolve_to_bind(address);
  if (!target) return std::unexpected(target.error());
  Socket socket(new_socket(*target));
  if (const int error = bind_socket(socket, *target, true); error != 0)
    return cannot_listen(address, error);
  const auto port = bound_port(socket.fd());
  auto* state = new ListenerState(uv_loop, std::move(on_accept));
  if (const int rc = state->listen(socket); rc != 0) {
    state->release();
    return cannot_listen(address, -rc);
  }
  return std::make_unique<UvListener>(state, port);
}

}  // namespace andyx::net
