// Frames waiting for a socket, as pieces for writev. Owned by one connection; its loop's thread.
#pragma once

#include <uv.h>

#include <cstddef>
#include <deque>
#include <span>

#include "protocol/base/shared_bytes.h"
#include "protocol/frame/frame_writer.h"

namespace andyx::net {

class SendQueue {
 public:
  void push(frame::OutFrame frame);
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  struct Gathered {
    unsigned pieces;
    std::size_t bytes;
  };
  // Points `out` at what goes first; the pieces stay queued until consume().
  Gathered gather(std::span<uv_buf_t> out) const;
  void consume(std::size_t sent_bytes);
  void clear();

 private:
  void push_piece(SharedBytes piece);

  std::deque<SharedBytes> pieces_;
  std::size_t sent_of_first_ = 0;
  std::size_t bytes_ = 0;
  SharedBytes zeros_;  // padding
};

}  // namespace andyx::net
