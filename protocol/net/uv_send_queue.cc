#include "protocol/net/uv_send_queue.h"

#include <cassert>
#include <utility>

namespace andyx::net {

void SendQueue::push_piece(SharedBytes piece) {
  if (piece.empty()) return;
  bytes_ += piece.size();
  pieces_.push_back(std::move(piece));
}

void SendQueue::push(frame::OutFrame frame) {
  push_piece(std::move(frame.head));
  for (auto& slice : frame.payload) push_piece(std::move(slice));
  if (frame.padding > 0) {
    if (zeros_.empty()) {
      constexpr std::uint8_t kZeros[8] = {};
      zeros_ = SharedBytes::copy_of(kZeros);
    }
    push_piece(zeros_.slice(0, frame.padding));
  }
}

SendQueue::Gathered SendQueue::gather(std::span<uv_buf_t> out) const {
  Gathered gathered{0, 0};
  std::size_t skip = sent_of_first_;
  for (const auto& piece : pieces_) {
    if (gathered.pieces == out.size()) break;
    // uv_buf_t has no const; it is only read for writing.
    auto* base = reinterpret_cast<char*>(const_cast<std::uint8_t*>(piece.data() + skip));
    out[gathered.pieces++] = uv_buf_t{.base = base, .len = piece.size() - skip};
    gathered.bytes += piece.size() - skip;
    skip = 0;
  }
  return gathered;
}

void SendQueue::consume(std::size_t sent_bytes) {
  assert(sent_bytes <= bytes_);
  bytes_ -= sent_bytes;
  sent_of_first_ += sent_bytes;
  while (!pieces_.empty() && sent_of_first_ >= pieces_.front().size()) {
    sent_of_first_ -= pieces_.front().size();
    pieces_.pop_front();
  }
}

void SendQueue::clear() {
  pieces_.clear();
  sent_of_first_ = 0;
  bytes_ = 0;
}

}  // namespace andyx::net
