// Cuts a byte stream into frames without copying: bytes are received into ref-counted slabs, a
// frame is a slice of one. A frame that does not fit into what is left of its slab moves to a fresh
// one, which grows with what has really arrived (a length prefix alone reserves nothing). One
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "protocol/base/error.h"
#include "protocol/base/limits.h"
#include "protocol/base/shared_bytes.h"

namespace andyx::frame {

class FrameReader {
 public:
  explicit FrameReader(std::size_t max_frame_bytes = limits::kMaxFrameBytes,
                       std::size_t slab_bytes = limits::kReceiveSlabBytes);

  // Where the next bytes should be received; never empty. Valid until the next call.
  std::span<std::uint8_t> receive_buffer();
  // `n` bytes were received into it.
  void received(std::size_t n);

  // The next whole frame, size prefix included, or nothing yet. kFrameTooLarge (length over the
  // limit) and kBadFrame (length under 8) are final: close the connection. The frame starts at an
  // address aligned to 8 bytes (it is moved where it does not), so that FlatBuffers may verify it.
  Result<std::optional<SharedBytes>> next();

  // What was received and not handed out, for another reader to go on with; nothing is left here.
  SharedBytes take_rest();

  void set_max_frame_bytes(std::size_t bytes) { max_frame_bytes_ = bytes; }
  std::size_t buffered_bytes() const;  // received, not yet handed out
  std::size_t charged_bytes() const;   // capacity this reader holds

 private:
  std::size_t frame_bytes() const;
  void make_room(std::size_t wanted_bytes);

  std::size_t max_frame_bytes_, slab_bytes_;
  std::size_t next_slab_bytes_;  // size of the next slab: small while little arrives
  unsigned small_receives_ = 0;  // in a row
  SharedBytes slab_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace andyx::frame
