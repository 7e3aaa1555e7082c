// Lengths of time and sizes as people write them on a command line. Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace andyx::tools {

// `500ms`, `30s`, `5m`, `12h`, `7d`, `2w`, or a number of milliseconds. kBadArgument with the
// accepted forms otherwise.
Result<std::int64_t> parse_duration_ms(std::string_view text);

// `10GB` (10 × 1000³), `512MiB` (512 × 1024²), or a number of bytes. kBadArgument likewise.
Result<std::int64_t> parse_bytes(std::string_view text);

}  // namespace andyx::tools
