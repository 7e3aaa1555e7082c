// Variable-length integers of the batch body: LEB128 (7 bits a byte, lowest first, high bit: more
// follows), at most 10 bytes. Signed values are zigzag-coded. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace andyx::batch {

inline constexpr std::size_t kMaxVarintBytes = 10;

constexpr std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

constexpr std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1) ^ (0 - (value & 1)));
}

// Writes at `out`, which has room for kMaxVarintBytes; returns the end.
inline std::uint8_t* put_varint(std::uint8_t* out, std::uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<std::uint8_t>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}

// Reads one number from [at, end): the new position, or nullptr when it is cut off or does not fit
// into 64 bits.
inline const std::uint8_t* get_varint(const std::uint8_t* at, const std::uint8_t* end,
                                      std::uint64_t& value) {
  if (at != end && *at < 0x80) {
    value = *at;
    return at + 1;
  }
  std::uint64_t result = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at == end) return nullptr;
    const std::uint64_t byte = *at++;
    if (shift == 63 && byte > 1) return nullptr;
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      value = result;
      return at;
    }
  }
  return nullptr;
}

}  // namespace andyx::batch
