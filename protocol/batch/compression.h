// LZ4 (block) and Zstd behind one pair of calls. Any thread; thread-local contexts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/batch/batch_format.h"

namespace andyx::batch {

// Appends the compressed bytes to `out`; false when they would not be smaller (out is unchanged
// then).
bool compress(Compression kind, ByteSpan in, std::vector<std::uint8_t>& out);

// Fills exactly `out`; kDecompressionFailed when the input is damaged or has another size.
Status decompress(Compression kind, ByteSpan in, std::span<std::uint8_t> out);

}  // namespace andyx::batch
