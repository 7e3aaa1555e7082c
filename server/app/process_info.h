// What the operating system knows of this process. Any thread.
#pragma once

#include <cstdint>

namespace andyx::server {

std::uint64_t rss_bytes();  // 0 where it cannot be told
std::uint64_t cpu_us();     // user and system time of all threads, since the start

}  // namespace andyx::server
