// A part of a record batch as a batch of its own: for consumers that get one message of many. Any
// thread.
#pragma once

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"

namespace andyx::batch {

// Records [first, first + count) of a verified batch, uncompressed, with the server's fields and
// the producer's times of the original, and no producer stamp (it is not what the producer sent).
// Asserts the range. kDecompressionFailed when the body is damaged.
Result<SharedBytes> slice_batch(ByteSpan batch, std::uint32_t first, std::uint32_t count);

}  // namespace andyx::batch
