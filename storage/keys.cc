#include "storage/keys.h"

#include <bit>
#include <concepts>
#include <cstring>

namespace andyx::storage {
namespace {

static_assert(std::endian::native == std::endian::little, "rows are written as they lie in memory");

template <std::unsigned_integral T>
T swap_bytes(T value) {
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <std::unsigned_integral T>
void put_big(std::string& out, T value) {
  value = swap_bytes(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <std::unsigned_integral T>
T get_big(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return swap_bytes(value);
}

template <std::integral... T>
std::string pack(T... values) {
  std::string out;
  out.reserve((sizeof(T) + ... + 0));
  (out.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
  return out;
}

template <std::integral... T>
bool unpack(std::string_view row, T&... values) {
  if (row.size() != (sizeof(T) + ... + 0)) return false;
  std::size_t at = 0;
  ((std::memcpy(&values, row.data() + at, sizeof values), at += sizeof values), ...);
  return true;
}

}  // namespace

std::string encode_key(const BatchKey& key) {
  std::string out;
  out.reserve(kBatchKeyBytes);
  put_big(out, key.generation);
  put_big(out, key.log);
  put_big(out, key.last_offset);
  return out;
}

std::optional<BatchKey> decode_batch_key(std::string_view bytes) {
  if (bytes.size() != kBatchKeyBytes) return {};
  return BatchKey{.generation = get_big<Generation>(bytes, 0),
                  .log = get_big<LogId>(bytes, 4),
                  .last_offset = get_big<Offset>(bytes, 8)};
}

std::string encode_place(const Place& place) {
  return pack(place.file, place.record, place.at, place.size);
}

std::optional<Place> decode_place(std::string_view row) {
  Place place;
  if (!unpack(row, place.file, place.record, place.at, place.size)) return {};
  return place;
}

std::string run_key(Generation generation, LogId log, Offset first) {
  return encode_key({generation, log, first});
}

std::string run_prefix(Generation generation) {
  std::string out;
  put_big(out, generation);
  return out;
}

std::string run_prefix(Generation generation, LogId log) {
  std::string out = run_prefix(generation);
  put_big(out, log);
  return out;
}

std::string encode_run(const Run& run) {
  return pack(run.end, run.first_append_time_us, run.last_append_time_us, run.bytes);
}

std::optional<RunRow> decode_run(std::string_view key, std::string_view row) {
  const auto parts = decode_batch_key(key);
  if (!parts) return {};
  RunRow out{.log = parts->log,
             .run = {.generation = parts->generation, .first = parts->last_offset}};
  if (!unpack(row, out.run.end, out.run.first_append_time_us, out.run.last_append_time_us,
              out.run.bytes) ||
      out.run.end <= out.run.first) {
    return {};
  }
  return out;
}

std::string tagged_key(char tag, std::uint32_t id) {
  std::string out(1, tag);
  put_big(out, id);
  return out;
}

std::string round_key() { return std::string(1, kRoundTag); }

std::optional<std::uint32_t> decode_tagged_key(std::string_view key) {
  if (key.size() != 5) return {};
  return get_big<std::uint32_t>(key, 1);
}

std::string encode_row(const Head& head) {
  return pack(head.start, head.end, head.last_epoch, head.last_append_time_us, head.bytes);
}

std::string encode_row(const Sealed& sealed) {
  return pack(sealed.batches, sealed.bytes, sealed.first_file, sealed.last_file,
              sealed.last_file_bytes);
}

std::string encode_row(const Round& round) {
  return pack(round.number, round.generation, round.generation_batches, round.generation_bytes,
              round.total_batches, round.total_bytes);
}

std::string encode_row(std::uint64_t number) { return pack(number); }

bool decode_row(std::string_view row, Head& head) {
  return unpack(row, head.start, head.end, head.last_epoch, head.last_append_time_us, head.bytes);
}

bool decode_row(std::string_view row, Sealed& sealed) {
  return unpack(row, sealed.batches, sealed.bytes, sealed.first_file, sealed.last_file,
                sealed.last_file_bytes) ||
         unpack(row, sealed.batches, sealed.bytes);  // of a version before 3
}

bool decode_row(std::string_view row, Round& round) {
  return unpack(row, round.number, round.generation, round.generation_batches,
                round.generation_bytes, round.total_batches, round.total_bytes);
}

bool decode_row(std::string_view row, std::uint64_t& number) { return unpack(row, number); }

}  // namespace andyx::storage
