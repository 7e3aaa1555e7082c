// What lies in the store's RocksDB, and how. Keys big-endian, rows little-endian. Pure.
//
//   's'                      the state, see StoreState; in every WriteBatch (a round)
//   'e' index u64            checksum u64 | term u64 | previous entry's term u64 | type u8 | data
//   'n' index u64            a snapshot: its meta, size and checksum of the data
//   'n' index u64 part u32   its data in parts of kSnapshotPartBytes, the last may be shorter
//
// An entry is named by index and term alone (Raft's log matching), so the previous term in each row
// shows whether the rows before it are those it was written behind.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "raft/core/types.h"

namespace andyx::raft {

inline constexpr std::size_t kSnapshotPartBytes = 256 << 10;

// All that is not an entry or a snapshot. As it lies in the state row and in the watermark, a
// checksum behind it.
struct StoreState {
  std::uint64_t round = 0;  // of the WriteBatch that wrote it, from 1
  Term term = 0;
  PeerId vote = kNone;
  Index commit = 0;
  Index base_index = 0;  // the entry before the first
  Term base_term = 0;
  Index last_index = 0;  // base_index: no entries
  Term last_term = 0;
  Index snapshot_index = 0;  // 0: none
  bool operator==(const StoreState&) const = default;
};

inline constexpr std::size_t kStateRowBytes = sizeof(StoreState) + sizeof(std::uint64_t);
std::string encode_state(const StoreState& state);
std::optional<StoreState> decode_state(std::string_view row);  // nothing: damaged

std::string state_key();
std::string entry_key(Index index);
std::optional<Index> decode_entry_key(std::string_view key);
std::string snapshot_key(Index index);  // also the prefix of its parts
std::string snapshot_part_key(Index index, std::uint32_t part);
std::string snapshot_prefix();  // of all of them
std::optional<Index> decode_snapshot_key(std::string_view key);

// What stands before an entry's data.
inline constexpr std::size_t kEntryHeadBytes = 25;
using EntryHead = std::array<char, kEntryHeadBytes>;
EntryHead encode_entry_head(const Entry& entry, Term previous_term);

struct DecodedEntry {
  Entry entry;  // owns a copy of its data
  Term previous_term = 0;
};
std::optional<DecodedEntry> decode_entry(Index index, std::string_view row);  // nothing: damaged

struct SnapshotRow {
  SnapshotMeta meta;
  std::uint64_t data_bytes = 0;
  std::uint64_t data_checksum = 0;  // XXH3-64

  std::uint32_t parts() const {
    return static_cast<std::uint32_t>((data_bytes + kSnapshotPartBytes - 1) / kSnapshotPartBytes);
  }
};
std::uint64_t checksum_of(ByteSpan bytes);
std::string encode_snapshot(const SnapshotRow& row);
std::optional<SnapshotRow> decode_snapshot(std::string_view row);  // nothing: damaged

}  // namespace andyx::raft
