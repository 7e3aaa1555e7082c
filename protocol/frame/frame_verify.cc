#include "protocol/frame/frame_verify.h"

#include <cassert>
#include <string>

#include "frame_generated.h"
#include "protocol/base/limits.h"

namespace andyx::frame {
namespace {

constexpr std::size_t kPrefixBytes = sizeof(flatbuffers::uoffset_t);

// Bounded by limits.h; nested buffers do not occur in the schemas.
constexpr flatbuffers::Verifier::Options kOptions{.max_depth = limits::kFrameVerifyDepth,
                                                  .max_tables = limits::kFrameVerifyTables,
                                                  .check_alignment = true,
                                                  .check_nested_flatbuffers = false};

bool is_valid(ByteSpan bytes) {
  // The verifier checks alignment relative to the buffer's start, which FrameReader aligns.
  assert(reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 == 0);
  if (bytes.size() < kPrefixBytes || bytes.size() > kPrefixBytes + limits::kMaxFrameBytes)
    return false;
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), kOptions);
  return protocol::VerifySizePrefixedFrameBuffer(verifier);
}

}  // namespace

Result<const protocol::Frame*> verify_frame(ByteSpan bytes) {
  if (!is_valid(bytes)) {
    return fail(ErrorCode::kBadFrame,
                "a frame of " + std::to_string(bytes.size()) +
                    " bytes is not a valid FlatBuffers buffer of this protocol");
  }
  const auto* const root = protocol::GetSizePrefixedFrame(bytes.data());
  const auto type = root->body_type();
  // The verifier lets an unknown type and a null body pass.
  if (type <= protocol::Body::NONE || type > protocol::Body::MAX) {
    return fail(ErrorCode::kUnknownBody,
                "the body's type " + std::to_string(static_cast<int>(type)) + " is not known here");
  }
  if (root->body() == nullptr) {
    return fail(
        ErrorCode::kUnknownBody,
        std::string("the frame says ") + protocol::EnumNameBody(type) + ", but its body is null");
  }
  return root;
}

std::uint64_t correlation_of(ByteSpan bytes) {
  return is_valid(bytes) ? protocol::GetSizePrefixedFrame(bytes.data())->correlation_id() : 0;
}

}  // namespace andyx::frame
