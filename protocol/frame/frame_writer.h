// Frames to be sent: a FlatBuffers head, and for bodies with a batch the payload and padding as
// separate pieces, so that a payload is never copied. One thread for each writer.
#pragma once

#include <cstdint>
#include <vector>

#include <flatbuffers/flatbuffers.h>

#include "protocol/base/shared_bytes.h"

namespace andyx::frame {

// One frame ready for writev: head, then payload slices, then `padding` zero bytes (0..3).
struct OutFrame {
  SharedBytes head;
  std::vector<SharedBytes>
      payload;  // concatenated: the [ubyte] vector of the body; often one slice
  std::uint8_t padding = 0;
  std::size_t size_bytes() const;
};

// A frame without payload: `fill` makes the body's table and returns what Frame needs.
using BodyOffset = flatbuffers::Offset<void>;
struct Body {
  std::uint8_t type;  // protocol::Body as its number
  BodyOffset offset;
};

class FrameWriter {
 public:
  // `fill(builder)` builds the body. The builder is reused between frames.
  template <typename Fill>
  OutFrame write(std::uint64_t correlation_id, Fill&& fill) {
    builder_.Clear();
    return finish(correlation_id, fill(builder_));
  }

  // The same for a body with a `[ubyte]` vector of `payload` bytes: `fill(builder, vector_offset)`.
  // The result is byte for byte what the stock builder makes when the vector is created first.
  template <typename Fill>
  OutFrame write_with_payload(std::uint64_t correlation_id, std::vector<SharedBytes> payload,
                              Fill&& fill) {
    builder_.Clear();
    auto vector = begin_payload(payload);
    return finish_with_payload(correlation_id, fill(builder_, vector), std::move(payload));
  }

 private:
  OutFrame finish(std::uint64_t correlation_id, Body body);
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> begin_payload(
      const std::vector<SharedBytes>& payload);
  OutFrame finish_with_payload(std::uint64_t correlation_id, Body body,
                               std::vector<SharedBytes> payload);

  flatbuffers::FlatBufferBuilder builder_{1024};
};

}  // namespace andyx::frame
