// Splits a stream of bytes into lines for `produce`: a line is the bytes up to LF, empty lines
// included, CR kept; a last line without LF counts. Reads large blocks, copies no line that lies
// whole in one. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "protocol/base/error.h"
#include "protocol/base/limits.h"

namespace andyx::cli {

class LineReader {
 public:
  // A whole message of the largest size fits with its key and separator.
  static constexpr std::size_t kMaxLineBytes = limits::kMaxMessageBytes + 64 * limits::kKiB;

  // Reads from `fd`, which stays the caller's. `block_bytes` is the size of a read.
  explicit LineReader(int fd, std::size_t block_bytes = 1024 * 1024);

  // The next line, valid until the next call; false at the end. kMessageTooLarge for a line over
  // kMaxLineBytes, kIo when reading fails.
  Result<bool> next(std::string_view& line);

  std::uint64_t lines() const { return lines_; }  // returned so far
  std::uint64_t bytes() const { return bytes_; }  // of those lines, without LF

 private:
  Result<bool> fill();  // reads one block behind what is there; false at the end of the input
  Status make_room();
  bool take(std::string_view& line, std::size_t size, std::size_t skip);

  int fd_;
  std::size_t block_bytes_;
  std::size_t capacity_;
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0;    // of the line that is being looked for
  std::size_t scanned_ = 0;  // no LF in [begin_, scanned_)
  std::size_t end_ = 0;
  bool ended_ = false;
  std::uint64_t lines_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace andyx::cli
