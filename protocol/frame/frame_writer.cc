#include "protocol/frame/frame_writer.h"

#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "frame_generated.h"

namespace andyx::frame {
namespace {

constexpr std::size_t kPrefixBytes = sizeof(flatbuffers::uoffset_t);
// The strictest alignment of the schemas. A vector of N bytes and one of N % 8 bytes lead to the
// same padding everywhere in the frame.
constexpr std::size_t kAlignment = 8;
// A builder that grew beyond this for one frame gives its memory back.
constexpr std::size_t kKeptBuilderBytes = 64 * 1024;

std::size_t payload_bytes(const std::vector<SharedBytes>& payload) {
  std::size_t total = 0;
  for (const auto& piece : payload) total += piece.size();
  return total;
}

// Zeros after a vector of `size` bytes, up to its length field's alignment.
std::size_t padding_after(std::size_t size) {
  return (kPrefixBytes - size % kPrefixBytes) % kPrefixBytes;
}

void finish_frame(flatbuffers::FlatBufferBuilder& builder, std::uint64_t correlation_id,
                  Body body) {
  const auto type = static_cast<protocol::Body>(body.type);
  assert(type > protocol::Body::NONE && type <= protocol::Body::MAX);
  builder.FinishSizePrefixed(protocol::CreateFrame(builder, correlation_id, type, body.offset));
}

void patch_u32(std::uint8_t* at, std::size_t value) {
  flatbuffers::WriteScalar(at, static_cast<flatbuffers::uoffset_t>(value));
}

}  // namespace

std::size_t OutFrame::size_bytes() const { return head.size() + payload_bytes(payload) + padding; }

OutFrame FrameWriter::finish(std::uint64_t correlation_id, Body body) {
  finish_frame(builder_, correlation_id, body);
  OutFrame frame{.head = SharedBytes::copy_of({builder_.GetBufferPointer(), builder_.GetSize()})};
  if (builder_.GetSize() > kKeptBuilderBytes) builder_.Reset();
  return frame;
}

flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> FrameWriter::begin_payload(
    const std::vector<SharedBytes>& payload) {
  constexpr std::array<std::uint8_t, kAlignment> kZeros{};
  return builder_.CreateVector(kZeros.data(), payload_bytes(payload) % kAlignment);
}

OutFrame FrameWriter::finish_with_payload(std::uint64_t correlation_id, Body body,
                                          std::vector<SharedBytes> payload) {
  finish_frame(builder_, correlation_id, body);
  const std::size_t size = payload_bytes(payload);
  const std::size_t stand_in = size % kAlignment;
  const std::size_t padding = padding_after(size);
  // The vector was created first, so it lies last: its length, the stand-in bytes, their padding.
  const std::size_t head_bytes = builder_.GetSize() - stand_in - padding;
  auto head = SharedBytes::copy_of({builder_.GetBufferPointer(), head_bytes});
  patch_u32(head.mutable_data() + head_bytes - kPrefixBytes, size);
  patch_u32(head.mutable_data(), head_bytes - kPrefixBytes + size + padding);
  if (builder_.GetSize() > kKeptBuilderBytes) builder_.Reset();
  return {.head = std::move(head),
          .payload = std::move(payload),
          .padding = static_cast<std::uint8_t>(padding)};
}

}  // namespace andyx::frame
