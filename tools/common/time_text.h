// TIME as people write it on a command line, and as JSON prints it. Values; any thread.
#pragma once

#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"

namespace andyx::tools {

// RFC 3339 (`2024-03-01T12:30:00.25+01:00`, `…Z`), or a time before or after now: `-30s`, `-15m`,
// `-1h`, `-2d`, `-1w`, `+500ms`. kBadArgument with the accepted forms otherwise.
Result<TimeUs> parse_time(std::string_view text, TimeUs now_us);

// `2024-03-01T11:30:00.250000Z`: always UTC, always six digits, so that texts sort as times do.
std::string format_time(TimeUs time_us);

// Appends the same to `out` without other allocations.
void append_time(std::string& out, TimeUs time_us);

// `1.5 s`, `3 min 20 s`, `2 d 4 h`: for tables.
std::string format_duration_ms(std::uint64_t duration_ms);

}  // namespace andyx::tools
