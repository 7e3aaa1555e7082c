#include "server/metadata/content_hash.h"

#include <xxhash.h>

namespace andyx::server {

std::uint64_t xxh3_64(ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace andyx::server
