// Debian's librocksdb computes CRC32C in software: half of the CPU time of a 64 KB write. A
// definition of the same symbol in the executable takes its place at dynamic linking, for RocksDB's
// own calls too. It needs the shared library, default visibility, and that the object is linked
// whole (see meson.build); crc32c_status() tells whether it took.
#include "storage/crc32c_hardware.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace {

std::atomic<std::uint64_t> call_count{0};

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = crc;
  }
  return table;
}
constexpr auto kTable = make_table();

std::uint32_t extend_portable(std::uint32_t crc, const char* data, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<std::uint8_t>(data[i])) & 0xFF];
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t extend_sse42(std::uint32_t crc, const char* data,
                                                             std::size_t size) {
  std::uint64_t wide = crc;
  for (; size >= 8; size -= 8, data += 8) {
    std::uint64_t word;
    std::memcpy(&word, data, sizeof word);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; size > 0; --size, ++data) crc = _mm_crc32_u8(crc, static_cast<std::uint8_t>(*data));
  return crc;
}

bool cpu_has_sse42() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}
#else
std::uint32_t extend_sse42(std::uint32_t crc, const char* data, std::size_t size) {
  return extend_portable(crc, data, size);
}
bool cpu_has_sse42() { return false; }
#endif

}  // namespace

namespace rocksdb::crc32c {

__attribute__((visibility("default"))) std::uint32_t Extend(std::uint32_t crc, const char* data,
                                                            std::size_t size) {
  call_count.fetch_add(1, std::memory_order_relaxed);
  return ~(cpu_has_sse42() ? extend_sse42(~crc, data, size) : extend_portable(~crc, data, size));
}

}  // namespace rocksdb::crc32c

namespace andyx::storage {

Crc32cStatus crc32c_status() {
  return {.hardware = cpu_has_sse42(), .calls = call_count.load(std::memory_order_relaxed)};
}

void check_crc32c() {
  struct Vector {
    const char* text;
    std::size_t size;
    std::uint32_t crc;
  };
  // RFC 3720, B.4, and the usual check value.
  static constexpr char kZeros[32] = {};
  static constexpr Vector kVectors[] = {{"123456789", 9, 0xE3069283u}, {kZeros, 32, 0x8A9136AAu}};
  for (const Vector& vector : kVectors) {
    if (rocksdb::crc32c::Extend(0, vector.text, vector.size) != vector.crc) {
      std::fputs("crc32c gives a wrong value on this CPU; refusing to write\n", stderr);
      std::abort();
    }
  }
}

}  // namespace andyx::storage
