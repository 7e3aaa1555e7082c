#include "tests/fault/cluster/ask.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "protocol/frame/frame_verify.h"

namespace andyx::test::fault {
namespace {

class Questioner {
 public:
  explicit Questioner(Millis deadline) : end_(Clock::now() + deadline) {}
  ~Questioner() {
    if (fd_ >= 0) close(fd_);
  }

  Status connect_to(const net::Address& node) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(node.port);
    inet_pton(AF_INET, node.host.c_str(), &address.sin_addr);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto* to = reinterpret_cast<const sockaddr*>(&address);
    if (connect(fd_, to, sizeof address) == 0) return {};
    if (errno != EINPROGRESS || !wait(POLLOUT)) {
      return fail(ErrorCode::kUnreachable, "nobody answers at " + node.text());
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return {};
    return fail(ErrorCode::kUnreachable, "nobody listens at " + node.text());
  }

  Result<Received> exchange(const Bytes& frame, std::uint64_t correlation_id) {
    std::size_t sent = 0;
    while (sent < frame.size()) {
      const ssize_t n = send(fd_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
      if (n > 0) {
        sent += static_cast<std::size_t>(n);
      } else if (errno != EAGAIN || !wait(POLLOUT)) {
        return fail(ErrorCode::kConnectionLost, "the question could not be sent");
      }
    }
    for (;;) {
      Result<Received> received = receive();
      if (!received || received->frame->correlation_id() == correlation_id) return received;
    }
  }

 private:
  bool wait(short events) const {
    const auto left = std::chrono::duration_cast<Millis>(end_ - Clock::now());
    pollfd entry{fd_, events, 0};
    return poll(&entry, 1, static_cast<int>(std::max<Millis::rep>(left.count(), 0))) > 0;
  }

  Result<Received> receive() {
    for (;;) {
      auto next = reader_.next();
      if (!next) return std::unexpected(next.error());
      if (*next) {
        Received received{.bytes = std::move(**next), .frame = nullptr};
        const auto frame = frame::verify_frame(received.bytes.span());
        if (!frame) return std::unexpected(frame.error());
        received.frame = *frame;
        return received;
      }
      if (!wait(POLLIN)) return fail(ErrorCode::kTimedOut, "no answer in time");
      const auto room = reader_.receive_buffer();
      const ssize_t n = recv(fd_, room.data(), room.size(), 0);
      if (n > 0) {
        reader_.received(static_cast<std::size_t>(n));
      } else if (n == 0 || errno != EAGAIN) {
        return fail(ErrorCode::kConnectionLost, "the connection ended without an answer");
      }
    }
  }

  const Clock::time_point end_;
  int fd_ = -1;
  frame::FrameReader reader_;
};

Result<Received> checked(Result<Received> answer) {
  if (!answer) return answer;
  const auto* error = answer->as<protocol::ErrorReply>();
  if (error == nullptr) return answer;
  return std::unexpected(Error{.code = static_cast<ErrorCode>(error->code()),
                               .message = error->message() ? error->message()->str() : "",
                               .node = error->node()});
}

}  // namespace

Result<Received> ask(const net::Address& node, const Bytes& frame, Millis deadline) {
  Questioner questioner(deadline);
  if (const Status connected = questioner.connect_to(node); !connected) {
    return std::unexpected(connected.error());
  }
  const Bytes hello = make_frame<protocol::Hello>(
      1, [](Builder& builder) { return protocol::CreateHelloDirect(builder, 1, 1, "fault-test"); });
  if (auto greeted = checked(questioner.exchange(hello, 1)); !greeted) return greeted;
  return checked(questioner.exchange(frame, kQuestion));
}

}  // namespace andyx::test::fault
