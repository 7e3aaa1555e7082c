// CRC32C with the CPU's instruction, in the place of RocksDB's own (Debian builds it without). See
// the .cc. Any thread.
#pragma once

#include <cstdint>

namespace andyx::storage {

struct Crc32cStatus {
  bool hardware = false;  // the CPU has SSE4.2, and known vectors come out right
  std::uint64_t calls =
      0;  // by RocksDB too: grows with every write, else the replacement is not linked in
};

Crc32cStatus crc32c_status();

// Aborts when a known vector comes out wrong: everything on the disk would be wrong then.
void check_crc32c();

}  // namespace andyx::storage
