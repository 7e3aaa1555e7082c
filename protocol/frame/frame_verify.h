// Is this frame safe to read? Any thread.
#pragma once

#include <cstdint>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/frame_generated_fwd.h"

namespace andyx::frame {

// Verifies a whole size-prefixed frame (depth and tables bounded), then that the body's type is
// known and the body not null. kBadFrame or kUnknownBody otherwise; for kUnknownBody the
// correlation id can be read with `correlation_of`. The pointer is into `frame`.
Result<const protocol::Frame*> verify_frame(ByteSpan frame);

// The correlation id of a frame that was refused with kUnknownBody; 0 when it cannot be read.
std::uint64_t correlation_of(ByteSpan frame);

}  // namespace andyx::frame
