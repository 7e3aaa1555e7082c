// What the operating system knows of this process. Any thread.
#pragma once

#include <cstdint>

namespace andyx::server {

std::uint64_t rss_bytes();  // 0 where it cannot be told

}  // namespace andyx::server
