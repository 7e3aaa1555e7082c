#include "tools/bench/limit.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "tools/bench/limit_sender.h"
#include "tools/bench/limit_socket.h"

namespace andyx::bench {
namespace {

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
  if (!(options.rate >= 0)) {
    return fail(ErrorCode::kBadArgument, "the rate is at least 0; 0: as fast as possible");
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

  LimitSender sender(sockets->sender.get(), options);
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
  result.latency = sender.latency();
  return result;
}

}  // namespace andyx::bench
