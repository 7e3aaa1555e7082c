#include "tests/fault/cluster/proxy_connection.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"

namespace andyx::test::fault {
namespace {

using Flow = LinkState::Flow;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kBufferedBytes = 1024 * 1024;  // of each direction; then senders feel it
constexpr std::uint32_t kFirstFrameBytes = 16 * 1024;

// Who says this; nothing while the first frame is not whole.
std::optional<NodeId> speaker_of(ByteSpan bytes) {
  std::uint32_t size = 0;
  if (bytes.size() < sizeof size) return std::nullopt;
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > kFirstFrameBytes) return kClients;
  if (bytes.size() < sizeof size + size) return std::nullopt;
  const SharedBytes frame = SharedBytes::copy_of(bytes.first(sizeof size + size));
  const auto verified = frame::verify_frame(frame.span());
  if (!verified) return kClients;
  if (const auto* hello = (*verified)->body_as_Hello()) return hello->node_id();
  if (const auto* hello = (*verified)->body_as_PeerHello()) {
    return static_cast<NodeId>(hello->from());
  }
  return kClients;
}

}  // namespace

ProxyConnection::ProxyConnection(int dialer_fd, NodeId node, net::Address target)
    : node_(node), target_(std::move(target)), dialer_fd_(dialer_fd) {}

ProxyConnection::~ProxyConnection() { reset(); }

// As a process that is killed: the other side is told at once.
void ProxyConnection::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  for (int* fd : {&dialer_fd_, &target_fd_}) {
    if (*fd < 0) continue;
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(*fd);
    *fd = -1;
  }
}

bool ProxyConnection::work(const LinkOf& link_of, std::uint64_t now_ms) {
  if (dialer_) {
    up_.state = link_of(*dialer_, node_);
    down_.state = link_of(node_, *dialer_);
  }
  if (up_.state.flow == Flow::kClosed || down_.state.flow == Flow::kClosed) return false;
  if (!pull(up_, dialer_fd_, now_ms)) return false;
  if (phase_ == Phase::kUnknown) {
    identify();
    if (!dialer_) return !up_.ended;  // it may hang up without a word
    up_.state = link_of(*dialer_, node_);
    down_.state = link_of(node_, *dialer_);
  }
  // A connect needs both directions.
  const bool open = up_.state.flow == Flow::kOpen && down_.state.flow == Flow::kOpen;
  if (phase_ == Phase::kUnknown && (!open || !dial())) return !open;
  if (phase_ == Phase::kDialing && open && !finish_dial()) return false;
  if (phase_ != Phase::kOpen) return true;
  if (!pull(down_, target_fd_, now_ms)) return false;
  if (!push(up_, target_fd_, now_ms) || !push(down_, dialer_fd_, now_ms)) return false;
  return !(up_.end_sent && down_.end_sent);
}

void ProxyConnection::identify() {
  std::vector<std::uint8_t> bytes;
  for (const Chunk& chunk : up_.chunks) {
    bytes.insert(bytes.end(), chunk.bytes.begin(), chunk.bytes.end());
  }
  dialer_ = speaker_of(bytes);
}

bool ProxyConnection::dial() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(target_.port);
  inet_pton(AF_INET, target_.host.c_str(), &address.sin_addr);
  target_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (target_fd_ < 0) return false;
  const int on = 1;
  setsockopt(target_fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  phase_ = Phase::kDialing;
  const int result =
      connect(target_fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 || errno == EINPROGRESS;
}

bool ProxyConnection::finish_dial() {
  pollfd entry{.fd = target_fd_, .events = POLLOUT, .revents = 0};
  if (poll(&entry, 1, 0) <= 0) return true;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(target_fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return false;
  phase_ = Phase::kOpen;
  return true;
}

bool ProxyConnection::wants_bytes(const Pipe& pipe) const {
  return pipe.state.flow == Flow::kOpen && !pipe.ended && pipe.buffered < kBufferedBytes;
}

bool ProxyConnection::pull(Pipe& pipe, int from, std::uint64_t now_ms) {
  while (wants_bytes(pipe) && now_ms >= pipe.read_at_ms) {
    std::vector<std::uint8_t> bytes(kReadBytes);
    const ssize_t n = recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n < 0) return false;
    if (n == 0) {
      pipe.ended = true;
      return true;
    }
    bytes.resize(static_cast<std::size_t>(n));
    if (pipe.state.bytes_per_s > 0) {
      pipe.read_at_ms = now_ms + bytes.size() * 1'000 / pipe.state.bytes_per_s;
    }
    pipe.buffered += bytes.size();
    pipe.chunks.push_back({now_ms + pipe.state.delay_ms, std::move(bytes)});
  }
  return true;
}

bool ProxyConnection::push(Pipe& pipe, int to, std::uint64_t now_ms) {
  if (pipe.state.flow != Flow::kOpen) return true;
  while (!pipe.chunks.empty() && pipe.chunks.front().due_ms <= now_ms) {
    Chunk& chunk = pipe.chunks.front();
    const ssize_t n = send(to, chunk.bytes.data() + chunk.sent, chunk.bytes.size() - chunk.sent,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n < 0) return false;
    chunk.sent += static_cast<std::size_t>(n);
    pipe.buffered -= static_cast<std::size_t>(n);
    if (chunk.sent < chunk.bytes.size()) return true;
    pipe.chunks.pop_front();
  }
  if (pipe.ended && pipe.chunks.empty() && !pipe.end_sent) {
    shutdown(to, SHUT_WR);
    pipe.end_sent = true;
  }
  return true;
}

void ProxyConnection::wait_for(std::vector<pollfd>& fds, std::uint64_t now_ms,
                               std::uint64_t& wake_ms) const {
  short dialer_events = 0, target_events = 0;
  const auto note = [&](const Pipe& pipe, short& source, short& sink) {
    if (wants_bytes(pipe)) {
      if (now_ms >= pipe.read_at_ms) {
        source |= POLLIN;
      } else {
        wake_ms = std::min(wake_ms, pipe.read_at_ms);
      }
    }
    if (pipe.state.flow != Flow::kOpen || pipe.chunks.empty()) return;
    if (pipe.chunks.front().due_ms <= now_ms) {
      sink |= POLLOUT;
    } else {
      wake_ms = std::min(wake_ms, pipe.chunks.front().due_ms);
    }
  };
  if (phase_ == Phase::kOpen) {
    note(up_, dialer_events, target_events);
    note(down_, target_events, dialer_events);
  } else {
    if (wants_bytes(up_)) dialer_events |= POLLIN;
    const bool open = up_.state.flow == Flow::kOpen && down_.state.flow == Flow::kOpen;
    if (phase_ == Phase::kDialing && open) target_events |= POLLOUT;
  }
  // Without events a socket stays out: poll would tell of a hang-up that nobody may hear of yet.
  if (dialer_events != 0) fds.push_back({dialer_fd_, dialer_events, 0});
  if (target_events != 0) fds.push_back({target_fd_, target_events, 0});
}

}  // namespace andyx::test::fault
