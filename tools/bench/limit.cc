#include "tools/bench/limit.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "protocol/net/loop.h"
#include "tools/bench/limit_socket.h"

namespace andyx::bench {
namespace {

// The sending side: full windows of batches, and cumulative acknowledgements (u64, bytes) coming
// back.
class Sender {
 public:
  Sender(int fd, const LimitOptions& options)
      : fd_(fd), options_(options), batch_(options.batch_bytes) {
    // Not zeros: a file system may treat those specially.
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      batch_[i] = static_cast<std::uint8_t>(i * 167 + (i >> 8));
    }
  }

  void run() {
    started_ns_ = net::monotonic_ns();
    status_ = send_batches();
    if (status_) status_ = wait_acked(sent_bytes_);
    finished_ns_ = net::monotonic_ns();
    ::shutdown(fd_, SHUT_WR);
  }

  const Status& status() const { return status_; }
  std::uint64_t acked_bytes() const { return acked_bytes_; }
  const Histogram& round_trip() const { return round_trip_; }
  double elapsed_s() const { return static_cast<double>(finished_ns_ - started_ns_) / 1e9; }

 private:
  bool more() const {
    const auto elapsed_ns = static_cast<double>(net::monotonic_ns() - started_ns_);
    if (elapsed_ns >= options_.seconds * 1e9) return false;
    if (options_.messages == 0) return true;
    const std::uint64_t per_batch = options_.batch_bytes / options_.message_bytes;
    return sent_bytes_ / options_.batch_bytes * per_batch < options_.messages;
  }

  Status send_batches() {
    while (more()) {
      const std::uint64_t sent_after = sent_bytes_ + batch_.size();
      if (sent_after > options_.window_bytes) {
        if (Status acked = wait_acked(sent_after - options_.window_bytes); !acked) return acked;
      }
      const std::uint64_t sent_ns = net::monotonic_ns();
      if (Status sent = send_all(fd_, batch_); !sent) return sent;
      sent_bytes_ = sent_after;
      if (2 * batch_.size() <= options_.window_bytes) continue;
      if (Status acked = wait_acked(sent_bytes_); !acked) return acked;
      round_trip_.add(net::monotonic_ns() - sent_ns);
    }
    return {};
  }

  // Reads acknowledgements until at least `bytes` are covered.
  Status wait_acked(std::uint64_t bytes) {
    while (acked_bytes_ < bytes) {
      const ssize_t count =
          ::recv(fd_, partial_ + partial_size_, sizeof partial_ - partial_size_, 0);
      if (count == 0) return fail(ErrorCode::kConnectionLost, "the receiver has stopped");
      if (count < 0) {
        if (errno == EINTR) continue;
        return fail(ErrorCode::kIo, std::string("receiving failed: ") + std::strerror(errno));
      }
      partial_size_ += static_cast<std::size_t>(count);
      const std::size_t whole = partial_size_ / sizeof acked_bytes_ * sizeof acked_bytes_;
      if (whole == 0) continue;
      std::memcpy(&acked_bytes_, partial_ + whole - sizeof acked_bytes_, sizeof acked_bytes_);
      std::memmove(partial_, partial_ + whole, partial_size_ - whole);
      partial_size_ -= whole;
    }
    return {};
  }

  int fd_;
  const LimitOptions& options_;
  std::vector<std::uint8_t> batch_;
  std::uint8_t partial_[1024];
  std::size_t partial_size_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t acked_bytes_ = 0;
  std::uint64_t started_ns_ = 0;
  std::uint64_t finished_ns_ = 0;
  Status status_;
  Histogram round_trip_;
};

// Everything that has arrived, until the buffer is full; 0 at the end of the stream.
Result<std::size_t> receive_what_arrived(int fd, std::span<std::uint8_t> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const int flags = filled == 0 ? 0 : MSG_DONTWAIT;
    const ssize_t count = ::recv(fd, buffer.data() + filled, buffer.size() - filled, flags);
    if (count > 0) {
      filled += static_cast<std::size_t>(count);
    } else if (count == 0 || errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return fail(ErrorCode::kIo, std::string("receiving failed: ") + std::strerror(errno));
    }
  }
  return filled;
}

// Writes `bytes`, and as many of them again as the write factor asks for, so that
// `written_bytes` is that factor times what was received.
Status write_times(RawFile& file, std::span<const std::uint8_t> bytes, double factor,
                   std::uint64_t received_bytes, std::uint64_t& written_bytes) {
  const auto wanted = static_cast<std::uint64_t>(static_cast<double>(received_bytes) * factor);
  do {
    const auto part = bytes.first(std::min<std::uint64_t>(bytes.size(), wanted - written_bytes));
    if (Status done = file.append(part); !done) return done;
    written_bytes += part.size();
  } while (written_bytes < wanted);
  return {};
}

Status receive_and_write(int fd, RawFile& file, const LimitOptions& options, LimitResult& result) {
  std::vector<std::uint8_t> buffer(options.window_bytes);
  std::uint64_t durable_bytes = 0;
  while (true) {
    const Result<std::size_t> filled = receive_what_arrived(fd, buffer);
    if (!filled) return std::unexpected(filled.error());
    if (*filled == 0) return {};
    if (options.to_disk) {
      const Status written = write_times(file, {buffer.data(), *filled}, options.write_factor,
                                         durable_bytes + *filled, result.written_bytes);
      if (!written) return written;
    }
    if (options.to_disk && options.sync) {
      if (Status done = file.sync(); !done) return done;
      ++result.syncs;
    }
    durable_bytes += *filled;
    std::uint8_t ack[sizeof durable_bytes];
    std::memcpy(ack, &durable_bytes, sizeof ack);
    if (Status done = send_all(fd, ack); !done) return done;
    if (options.on_progress) options.on_progress(durable_bytes);
  }
}

Status check(const LimitOptions& options) {
  if (options.message_bytes == 0 || options.message_bytes > options.batch_bytes) {
    return fail(ErrorCode::kBadArgument, "a batch should hold at least one message");
  }
  if (options.batch_bytes > options.window_bytes) {
    return fail(ErrorCode::kBadArgument, "the window should hold at least one batch");
  }
  if (!(options.write_factor >= 1)) {
    return fail(ErrorCode::kBadArgument, "the write factor is at least 1: each byte is written");
  }
  return {};
}

}  // namespace

Result<LimitResult> run_limit(const LimitOptions& options) {
  if (Status valid = check(options); !valid) return std::unexpected(valid.error());
  Result<RawFile> file = RawFile::create(options.directory);
  if (!file) return std::unexpected(file.error());
  Result<SocketPair> sockets = connect_loopback();
  if (!sockets) return std::unexpected(sockets.error());

  Sender sender(sockets->sender.get(), options);
  std::thread sending([&sender] { sender.run(); });
  LimitResult result;
  const Status received = receive_and_write(sockets->receiver.get(), *file, options, result);
  if (!received) ::shutdown(sockets->receiver.get(), SHUT_RDWR);  // wakes the sender
  sending.join();
  if (!received) return std::unexpected(received.error());
  if (!sender.status()) return std::unexpected(sender.status().error());

  result.batches = sender.acked_bytes() / options.batch_bytes;
  result.messages = result.batches * (options.batch_bytes / options.message_bytes);
  result.bytes = result.messages * options.message_bytes;
  result.elapsed_s = sender.elapsed_s();
  result.round_trip = sender.round_trip();
  return result;
}

}  // namespace andyx::bench
