#include "tools/bench/limit_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace andyx::bench {
namespace {

// At once: where a file system tells the disk of freed blocks, syncs wait for that.
constexpr std::uint64_t kFreeBytes = 4 << 20;

std::unexpected<Error> io_error(const std::string& what) {
  const ErrorCode code = errno == ENOSPC || errno == EDQUOT ? ErrorCode::kDiskFull : ErrorCode::kIo;
  return fail(code, what + ": " + std::strerror(errno));
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<SocketPair> connect_loopback() {
  const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketPair pair{FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), {}};
  if (listener.get() < 0 || pair.sender.get() < 0) return io_error("no socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0 ||
      ::connect(pair.sender.get(), generic, size) != 0) {
    return io_error("no loopback connection");
  }
  pair.receiver = FileDescriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (pair.receiver.get() < 0) return io_error("no loopback connection");
  const int on = 1;
  for (const int fd : {pair.sender.get(), pair.receiver.get()}) {
    if (::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
      return io_error("TCP_NODELAY");
    }
  }
  return pair;
}

Status send_all(int fd, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return io_error("sending over loopback failed");
    }
  }
  return {};
}

Result<RawFile> RawFile::create(const std::string& directory) {
  RawFile file;
  file.directory_ = directory;
  if (Status opened = file.open_next(); !opened) return std::unexpected(opened.error());
  return file;
}

RawFile::~RawFile() { remove(); }

void RawFile::remove() {
  if (file_.get() < 0) return;
  // Waits for the one before: at most two files take space.
  removing_ = std::jthread([path = path_, file = std::move(file_), bytes = size_bytes_] {
    ::unlink(path.c_str());
    for (std::uint64_t left = bytes; left > kFreeBytes; left -= kFreeBytes) {
      if (::ftruncate(file.get(), static_cast<off_t>(left - kFreeBytes)) != 0) return;
    }
  });
}

Status RawFile::open_next() {
  remove();
  path_ = directory_ + "/andyx-bench-limit-XXXXXX";
  file_ = FileDescriptor(::mkostemp(path_.data(), O_APPEND | O_CLOEXEC));
  size_bytes_ = 0;
  if (file_.get() < 0) {
    return io_error("cannot create a file in '" + directory_ + "' (--directory names another)");
  }
  return {};
}

Status RawFile::append(std::span<const std::uint8_t> bytes) {
  if (size_bytes_ >= kRotateBytes) {
    if (Status opened = open_next(); !opened) return opened;
  }
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      size_bytes_ += static_cast<std::uint64_t>(count);
    } else if (errno != EINTR) {
      return io_error("writing '" + path_ + "' failed");
    }
  }
  return {};
}

Status RawFile::sync() {
  if (::fdatasync(file_.get()) != 0) return io_error("fdatasync of '" + path_ + "' failed");
  return {};
}

}  // namespace andyx::bench
