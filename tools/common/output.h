// Buffered bytes to a file descriptor, for output of millions of lines. One thread.
#pragma once

#include <cstddef>
#include <string>

#include "protocol/base/error.h"

namespace andyx::tools {

class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}

  // Append here, then call written().
  std::string& buffer() { return buffer_; }
  // Writes the buffer out once it has grown large enough.
  Status written() { return buffer_.size() < kFlushBytes ? Status{} : flush(); }
  // Everything to the descriptor. When the reader of a pipe is gone, closed() turns true and what
  // is written from then on is dropped: that is the quiet end of `andyx-cli read … | head`. kIo
  // otherwise.
  Status flush();

  bool closed() const { return closed_; }

 private:
  static constexpr std::size_t kFlushBytes = 256 * 1024;

  int fd_;
  bool closed_ = false;
  std::string buffer_;
};

}  // namespace andyx::tools
