#include "tools/bench/limit_sender.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "protocol/net/loop.h"
#include "tools/bench/limit_socket.h"

namespace andyx::bench {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

std::unexpected<Error> receive_error() {
  return fail(ErrorCode::kIo, std::string("receiving failed: ") + std::strerror(errno));
}

}  // namespace

LimitSender::LimitSender(int fd, const LimitOptions& options)
    : fd_(fd),
      options_(options),
      messages_in_batch_(options.batch_bytes / options.message_bytes),
      batch_(options.batch_bytes) {
  // Not zeros: a file system may treat those specially.
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    batch_[i] = static_cast<std::uint8_t>(i * 167 + (i >> 8));
  }
}

void LimitSender::run() {
  started_ns_ = net::monotonic_ns();
  status_ = options_.rate > 0 ? send_at_rate() : send_batches();
  if (status_) status_ = wait_acked(sent_bytes_);
  finished_ns_ = net::monotonic_ns();
  ::shutdown(fd_, SHUT_WR);
}

bool LimitSender::more() const {
  const auto elapsed_ns = static_cast<double>(net::monotonic_ns() - started_ns_);
  if (elapsed_ns >= options_.seconds * 1e9) return false;
  if (options_.messages == 0) return true;
  return sent_bytes_ / options_.batch_bytes * messages_in_batch_ < options_.messages;
}

Status LimitSender::send_batches() {
  while (more()) {
    if (Status sent = send_batch(); !sent) return sent;
    if (!one_in_flight()) continue;
    if (Status acked = wait_acked(sent_bytes_); !acked) return acked;
  }
  return {};
}

// A batch goes when its last message is due.
Status LimitSender::send_at_rate() {
  const Pacer pacer(options_.rate, started_ns_);
  for (std::uint64_t messages = messages_in_batch_; more(); messages += messages_in_batch_) {
    if (Status waited = receive_acks_until(pacer.due_ns(messages - 1)); !waited) return waited;
    if (Status sent = send_batch(); !sent) return sent;
  }
  return {};
}

Status LimitSender::send_batch() {
  const std::uint64_t sent_after = sent_bytes_ + batch_.size();
  if (sent_after > options_.window_bytes) {
    if (Status acked = wait_acked(sent_after - options_.window_bytes); !acked) return acked;
  }
  if (options_.rate > 0 || one_in_flight()) {
    in_flight_.push_back({.end_bytes = sent_after, .sent_ns = net::monotonic_ns()});
  }
  sent_bytes_ = sent_after;
  return send_all(fd_, batch_);
}

Status LimitSender::wait_acked(std::uint64_t bytes) {
  while (acked_bytes_ < bytes) {
    if (Status received = receive_acks(); !received) return received;
  }
  return {};
}

Status LimitSender::receive_acks_until(std::uint64_t time_ns) {
  for (std::uint64_t now_ns = net::monotonic_ns(); now_ns < time_ns; now_ns = net::monotonic_ns()) {
    const timespec rest{.tv_sec = static_cast<time_t>((time_ns - now_ns) / kNsPerSecond),
                        .tv_nsec = static_cast<long>((time_ns - now_ns) % kNsPerSecond)};
    pollfd socket{.fd = fd_, .events = POLLIN, .revents = 0};
    const int ready = ::ppoll(&socket, 1, &rest, nullptr);
    if (ready < 0 && errno != EINTR) return receive_error();
    if (ready <= 0) continue;
    if (Status received = receive_acks(); !received) return received;
  }
  return {};
}

Status LimitSender::receive_acks() {
  const ssize_t count = ::recv(fd_, partial_ + partial_size_, sizeof partial_ - partial_size_, 0);
  if (count == 0) return fail(ErrorCode::kConnectionLost, "the receiver has stopped");
  if (count < 0) return errno == EINTR ? Status{} : receive_error();
  partial_size_ += static_cast<std::size_t>(count);
  const std::size_t whole = partial_size_ / sizeof acked_bytes_ * sizeof acked_bytes_;
  if (whole == 0) return {};
  std::memcpy(&acked_bytes_, partial_ + whole - sizeof acked_bytes_, sizeof acked_bytes_);
  std::memmove(partial_, partial_ + whole, partial_size_ - whole);
  partial_size_ -= whole;
  add_latencies(net::monotonic_ns());
  return {};
}

void LimitSender::add_latencies(std::uint64_t now_ns) {
  while (!in_flight_.empty() && in_flight_.front().end_bytes <= acked_bytes_) {
    const InFlight batch = in_flight_.front();
    in_flight_.pop_front();
    if (options_.rate <= 0) {
      latency_.add(now_ns - batch.sent_ns);
      continue;
    }
    const Pacer pacer(options_.rate, started_ns_);
    for (std::uint64_t i = 0; i < messages_in_batch_; ++i) {
      latency_.add(now_ns - pacer.due_ns(timed_messages_++));
    }
  }
}

}  // namespace andyx::bench
