// Keys and rows of the shard's column families; STORAGE.md says the same in prose. Values; any
// thread. Integers in keys are big-endian, so that keys sort as their numbers do; in rows they are
// little-endian.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/ids.h"
#include "storage/storage_shard.h"

namespace andyx::storage {

using Generation = std::uint32_t;

using FileNumber = std::uint64_t;  // of a WAL file of RocksDB; never 0, never given twice

// Column family log: (generation, log, last offset) -> Place. In generations that a version before
// 3 wrote, the whole batch instead.
struct BatchKey {
  Generation generation = 0;
  LogId log = 0;
  Offset last_offset = 0;
};
inline constexpr std::size_t kBatchKeyBytes = 16;
std::string encode_key(const BatchKey& key);
std::optional<BatchKey> decode_batch_key(std::string_view bytes);

// Where a batch lies: in a record of a WAL file.
struct Place {
  FileNumber file = 0;
  std::uint64_t record = 0;  // where the record begins in the file
  std::uint32_t at = 0;      // of the batch in the record
  std::uint32_t size = 0;    // of the batch

  bool operator==(const Place&) const = default;
};
inline constexpr std::size_t kPlaceBytes = 24;  // no batch is as small as that
std::string encode_place(const Place& place);
std::optional<Place> decode_place(std::string_view row);  // nothing: another size

// Column family index: (generation, log, first offset) -> Run. A run is a stretch of one log
// without gaps that lies together in one generation; long ones are split (kMaxRunBytes), so that a
// look-up by time reads little.
struct Run {
  Generation generation = 0;
  Offset first = 0;
  Offset end = 0;  // one past the last
  TimeUs first_append_time_us = 0;
  TimeUs last_append_time_us = 0;
  std::uint64_t bytes = 0;

  bool operator==(const Run&) const = default;
};
inline constexpr std::uint64_t kMaxRunBytes = 4ull * 1024 * 1024;
std::string run_key(Generation generation, LogId log, Offset first);
std::string run_prefix(Generation generation);
std::string run_prefix(Generation generation, LogId log);
std::string encode_run(const Run& run);
struct RunRow {
  LogId log = 0;
  Run run;
};
std::optional<RunRow> decode_run(std::string_view key, std::string_view row);

// Column family head: one letter, then an id.
//   'H' log -> Head      of a log, as of the last cut or truncation
//   'S' log -> offset    start of a log, where it is not 0
//   'D' log -> generation  dropped while this one was open; batches up to it may still lie about
//   'G' generation -> Sealed
//   'R' -> Round          in every WriteBatch
struct Head {
  Offset start = 0;
  Offset end = 0;
  MainEpoch last_epoch = 0;
  TimeUs last_append_time_us = 0;
  std::uint64_t bytes = 0;
};
struct Sealed {
  std::uint64_t batches = 0;
  std::uint64_t bytes = 0;
  // The WAL files that hold them, first and last, and how long the last one is at least; 0: none,
  // the batches are in the rows.
  FileNumber first_file = 0, last_file = 0;
  std::uint64_t last_file_bytes = 0;
};
// Where the log of writes stands. What is recovered is held against it, and it against the
// watermark.
struct Round {
  std::uint64_t number = 0;
  Generation generation = 1;
  std::uint64_t generation_batches =
      0;  // in the open generation, copied ones included, cut ones not
  std::uint64_t generation_bytes = 0;
  std::uint64_t total_batches = 0;  // ever appended
  std::uint64_t total_bytes = 0;
};

inline constexpr char kHeadTag = 'H';
inline constexpr char kStartTag = 'S';
inline constexpr char kDroppedTag = 'D';
inline constexpr char kSealedTag = 'G';
inline constexpr char kRoundTag = 'R';

std::string tagged_key(char tag, std::uint32_t id);
std::string round_key();
std::optional<std::uint32_t> decode_tagged_key(std::string_view key);

std::string encode_row(const Head& head);
std::string encode_row(const Sealed& sealed);
std::string encode_row(const Round& round);
std::string encode_row(std::uint64_t number);
bool decode_row(std::string_view row, Head& head);
bool decode_row(std::string_view row, Sealed& sealed);
bool decode_row(std::string_view row, Round& round);
bool decode_row(std::string_view row, std::uint64_t& number);

}  // namespace andyx::storage
