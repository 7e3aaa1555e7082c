// 128-bit ids: cluster, disk, command. Values; usable from any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace andyx::server {

struct Uuid {
  std::uint64_t hi = 0;
  std::uint64_t lo = 0;

  static Uuid random();                                     // from the kernel; never zero
  std::string text() const;                                 // 32 hexadecimal digits
  static std::optional<Uuid> parse(std::string_view text);  // as text() writes it
  bool is_zero() const { return hi == 0 && lo == 0; }

  auto operator<=>(const Uuid&) const = default;
};

}  // namespace andyx::server
