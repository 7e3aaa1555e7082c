// How RocksDB lays a record out in a WAL file (its db/log_format.h): blocks of 32 KiB, in them
// fragments of records, each behind a head of 7 bytes; no fragment crosses the end of a block, and
// where fewer than 7 bytes are left in one they are padding. So the place of any byte of a record
// follows from where the record begins. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace andyx::storage::wal {

inline constexpr std::uint64_t kBlockBytes = 32 * 1024;
inline constexpr std::uint64_t kHeadBytes = 7;
inline constexpr std::uint64_t kFragmentBytes = kBlockBytes - kHeadBytes;  // of a whole block

// Where the next record begins in a file of `file_bytes`: at the head of its first fragment.
constexpr std::uint64_t record_begin(std::uint64_t file_bytes) {
  const std::uint64_t left = kBlockBytes - file_bytes % kBlockBytes;
  return left < kHeadBytes ? file_bytes + left : file_bytes;
}

// Where byte `at` of the record that begins at `record` lies in the file.
constexpr std::uint64_t position(std::uint64_t record, std::uint64_t at) {
  const std::uint64_t first =
      kBlockBytes - record % kBlockBytes - kHeadBytes;  // in its first block
  if (at < first) return record + kHeadBytes + at;
  const std::uint64_t blocks = (at - first) / kFragmentBytes;
  return (record / kBlockBytes + 1 + blocks) * kBlockBytes + kHeadBytes +
         (at - first) % kFragmentBytes;
}

// The end of a record of `size` bytes, at least 1.
constexpr std::uint64_t record_end(std::uint64_t record, std::uint64_t size) {
  return position(record, size - 1) + 1;
}

// `bytes`: those of the file from `begin` on, all in one record, none before its first payload
// byte. Moves the record's own bytes together, without the heads; how many they are.
inline std::size_t strip_heads(char* bytes, std::size_t size, std::uint64_t begin) {
  std::size_t from = 0, to = 0;
  while (from < size) {
    const std::uint64_t in_block = (begin + from) % kBlockBytes;
    std::size_t piece = static_cast<std::size_t>(kBlockBytes - in_block);
    if (piece > size - from) piece = size - from;
    if (to != from) std::memmove(bytes + to, bytes + from, piece);
    to += piece;
    from += piece + kHeadBytes;
  }
  return to;
}

}  // namespace andyx::storage::wal
