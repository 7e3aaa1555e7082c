#include "protocol/batch/checksum.h"

#if defined(__x86_64__)
// The library picks SSE2, AVX2 or AVX-512 at run time: up to three times the plain call.
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

namespace andyx::batch {

std::uint64_t checksum64(ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace andyx::batch
