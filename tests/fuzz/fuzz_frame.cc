// Any bytes, received in any chunks: the reader hands out exactly the frames that a plain loop over
// the bytes finds, and every frame can be verified. The first byte chooses slab and chunks.
#include <algorithm>
#include <cstring>
#include <vector>

#include "frame_generated.h"
#include "protocol/frame/frame_reader.h"
#include "protocol/frame/frame_verify.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace andyx;

constexpr std::size_t kMaxFrameBytes = 4'096;

// What should come out: the frames, and the error that ends them, if any.
struct Expected {
  std::vector<ByteSpan> frames;
  ErrorCode error = ErrorCode::kOk;
};

Expected parse(ByteSpan stream) {
  Expected expected;
  while (stream.size() >= 4) {
    std::uint32_t length;
    std::memcpy(&length, stream.data(), sizeof length);
    if (length > kMaxFrameBytes) expected.error = ErrorCode::kFrameTooLarge;
    if (length < 8) expected.error = ErrorCode::kBadFrame;
    if (expected.error != ErrorCode::kOk || stream.size() - 4 < length) break;
    expected.frames.push_back(stream.first(4 + length));
    stream = stream.subspan(4 + length);
  }
  return expected;
}

void check_frame(const SharedBytes& frame, ByteSpan expected) {
  FUZZ_CHECK(std::ranges::equal(frame.span(), expected));
  FUZZ_CHECK(reinterpret_cast<std::uintptr_t>(frame.data()) % 8 == 0);
  const auto verified = frame::verify_frame(frame.span());
  if (verified) {
    FUZZ_CHECK((*verified)->body() != nullptr);
    FUZZ_CHECK(frame::correlation_of(frame.span()) == (*verified)->correlation_id());
  } else if (verified.error().code == ErrorCode::kUnknownBody) {
    frame::correlation_of(frame.span());
  } else {
    FUZZ_CHECK(verified.error().code == ErrorCode::kBadFrame);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t choice = data[0];
  const ByteSpan stream(data + 1, size - 1);
  const std::size_t chunk_bytes = std::size_t{1} << (choice & 15);
  const bool hold = (choice & 16) != 0;  // frames stay alive, as in a storage queue
  const bool lazy = (choice & 32) != 0;  // frames are taken only at the end
  frame::FrameReader reader(kMaxFrameBytes, (choice & 64) != 0 ? 64 : 16'384);

  const Expected expected = parse(stream);
  std::vector<SharedBytes> held;
  std::size_t taken = 0;
  ErrorCode error = ErrorCode::kOk;
  const auto take_all = [&] {
    while (error == ErrorCode::kOk) {
      const auto frame = reader.next();
      if (!frame) {
        error = frame.error().code;
      } else if (*frame) {
        FUZZ_CHECK(taken < expected.frames.size());
        check_frame(**frame, expected.frames[taken++]);
        if (hold) held.push_back(**frame);
      } else {
        return;
      }
    }
  };
  for (std::size_t at = 0; at < stream.size() && error == ErrorCode::kOk;) {
    const auto buffer = reader.receive_buffer();
    FUZZ_CHECK(!buffer.empty());
    const std::size_t n = std::min({buffer.size(), chunk_bytes, stream.size() - at});
    std::memcpy(buffer.data(), stream.data() + at, n);
    reader.received(n);
    at += n;
    if (!lazy) take_all();
  }
  take_all();
  FUZZ_CHECK(taken == expected.frames.size());
  FUZZ_CHECK(error == expected.error);
  for (std::size_t i = 0; i < held.size(); ++i) {
    FUZZ_CHECK(std::ranges::equal(held[i].span(), expected.frames[i]));
  }
  return 0;
}
