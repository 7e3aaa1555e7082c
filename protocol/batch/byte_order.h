// Little-endian integers at any address, by memcpy. Any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace andyx::batch {

static_assert(std::endian::native == std::endian::little, "the layouts are read in place");

template <typename T>
T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void store(std::uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace andyx::batch
