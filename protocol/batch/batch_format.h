// Record batch v1: the byte layout. The same bytes on the wire, in the WAL, in memory, to replicas
// and to consumers. FORMAT.md says the same in prose; tests/protocol holds golden files. All
// integers are little-endian; read with memcpy (alignment is not promised).
//
//   header (88 bytes) | record table | body
//
//   0   u8   version = 1
//   1   u8   zero x 3
//   4   u32  main_epoch       server   (outside the checksum: bytes 0..24 are patched in place)
//   8   u64  base_offset      server
//   16  i64  append_time_us   server; never decreasing in a partition
//   24  u64  checksum         XXH3-64 (seed 0) over bytes [32, size_bytes)
//   32  u32  size_bytes       of the whole batch, header included
//   36  u32  count            records, 1..kMaxBatchRecords
//   40  u8   compression      0 none, 1 LZ4 block, 2 Zstd frame
//   41  u8   flags            bit 0: the table has a deliver-at column, bit 1: one of message ids,
//                             bit 2: no record has a key; the rest zero
//   42  u16  zero
//   44  u32  body_bytes       of the body once decompressed
//   48  u64  producer_id      0: not idempotent
//   56  u64  sequence         of this batch: per producer, epoch and partition, from 0, no gaps
//   64  u32  producer_epoch
//   68  u32  zero
//   72  i64  first_time_us    producer's clock, of the first record
//   80  i64  last_time_us     the largest producer time of the batch
//
//   record table, never compressed: count x { u32 position in the decompressed body; u32 key_hash,
//   absent with flag bit 2 }, then, with flag bit 0, count x i64 deliver_at_us (0: at once), then,
//   with flag bit 1, count x u64 message_id_hash (XXH3-64 of the id, 0 replaced by 1; 0 means "no
//   id"). key_hash: low 32 bits of XXH3-64 of the key, 0 replaced by 1; 0 means "no key".
//
//   body: records one after the other, record i at position i (position 0 is 0, strictly rising):
//     varint zigzag(time_us - first_time_us) | varint key_bytes + 1 (0: no key) | key |
//     varint headers | headers x { varint n | name | varint n | value } | payload up to the next
//     record
#pragma once

#include <cstddef>
#include <cstdint>

namespace andyx::batch {

inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 88;

// Where each field of the header begins.
namespace at {
inline constexpr std::size_t kVersion = 0;
inline constexpr std::size_t kMainEpoch = 4;
inline constexpr std::size_t kBaseOffset = 8;
inline constexpr std::size_t kAppendTime = 16;
inline constexpr std::size_t kChecksum = 24;
inline constexpr std::size_t kSize = 32;
inline constexpr std::size_t kCount = 36;
inline constexpr std::size_t kCompression = 40;
inline constexpr std::size_t kFlags = 41;
inline constexpr std::size_t kZeros = 42;
inline constexpr std::size_t kBodyBytes = 44;
inline constexpr std::size_t kProducerId = 48;
inline constexpr std::size_t kSequence = 56;
inline constexpr std::size_t kProducerEpoch = 64;
inline constexpr std::size_t kZeros2 = 68;
inline constexpr std::size_t kFirstTime = 72;
inline constexpr std::size_t kLastTime = 80;
}  // namespace at

inline constexpr std::size_t kTableEntryBytes = 8;    // position and key hash
inline constexpr std::size_t kKeylessEntryBytes = 4;  // position alone
inline constexpr std::size_t kDeliverAtEntryBytes = 8;
inline constexpr std::size_t kMessageIdEntryBytes = 8;
inline constexpr std::size_t kChecksumFrom = 32;
inline constexpr std::uint8_t kFlagDeliverAt = 1;
inline constexpr std::uint8_t kFlagMessageIds = 2;
inline constexpr std::uint8_t kFlagNoKeys = 4;

constexpr std::size_t entry_bytes(std::uint8_t flags) {
  return (flags & kFlagNoKeys) != 0 ? kKeylessEntryBytes : kTableEntryBytes;
}

// Bytes of one record in the table, with the columns that the flags say.
constexpr std::size_t table_bytes_each(std::uint8_t flags) {
  return entry_bytes(flags) + ((flags & kFlagDeliverAt) != 0 ? kDeliverAtEntryBytes : 0) +
         ((flags & kFlagMessageIds) != 0 ? kMessageIdEntryBytes : 0);
}

enum class Compression : std::uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

}  // namespace andyx::batch
