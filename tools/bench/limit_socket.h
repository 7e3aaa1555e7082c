// The two ends of a loopback TCP connection, and the raw file, for `limit` only. Blocking calls;
// each object belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "protocol/base/error.h"
#include "protocol/base/limits.h"

namespace andyx::bench {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct SocketPair {
  FileDescriptor sender, receiver;
};
// A TCP connection over 127.0.0.1, without Nagle's delay.
Result<SocketPair> connect_loopback();

Status send_all(int fd, std::span<const std::uint8_t> bytes);

// A file that is appended to and synced. After kRotateBytes (what a server keeps in one file) a new
// one takes its place, so that the disk use is bounded and every write grows its file, as a log's
// writes do. The old one is deleted by a thread of its own, which nobody waits for.
class RawFile {
 public:
  static constexpr std::uint64_t kRotateBytes = limits::kGenerationBytes;

  static Result<RawFile> create(const std::string& directory);
  RawFile(RawFile&&) noexcept = default;
  RawFile& operator=(RawFile&&) noexcept = default;
  ~RawFile();

  Status append(std::span<const std::uint8_t> bytes);
  Status sync();

 private:
  RawFile() = default;
  Status open_next();
  void remove();

  std::string directory_;
  std::string path_;
  FileDescriptor file_;
  std::uint64_t size_bytes_ = 0;
  std::jthread removing_;
};

}  // namespace andyx::bench
