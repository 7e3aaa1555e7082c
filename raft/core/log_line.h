// Lines for people, put together only when somebody reads them.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "raft/core/config.h"

namespace andyx::raft {

// A peer's id, printed in hex.
struct Hex {
  std::uint64_t value;
};

inline void append_part(std::string& out, std::string_view part) { out += part; }
inline void append_part(std::string& out, std::unsigned_integral auto number) {
  out += std::to_string(number);
}
inline void append_part(std::string& out, Hex number) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number.value, 16).ptr;
  out.append(digits, end);
}

template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::string out;
  (append_part(out, parts), ...);
  return out;
}

template <typename... Parts>
void log_line(Logger& logger, LogLevel level, const Parts&... parts) {
  if (logger.enabled(level)) {
    logger.log(level, concat(parts...));
  }
}

}  // namespace andyx::raft
