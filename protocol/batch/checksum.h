// The checksum of a record batch. Any thread.
#pragma once

#include <cstdint>

#include "protocol/base/shared_bytes.h"

namespace andyx::batch {

std::uint64_t checksum64(
    ByteSpan bytes);  // XXH3-64, seed 0, with the widest instructions of the CPU

}  // namespace andyx::batch
