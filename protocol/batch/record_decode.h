// One record of a batch's body, taken apart with every bound checked: shared by the server's check
// and by the reader, so that they cannot disagree. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/base/ids.h"
#include "protocol/base/limits.h"
#include "protocol/batch/batch_reader.h"
#include "protocol/batch/varint.h"

namespace andyx::batch {

struct RecordParts {
  TimeUs time_us;
  bool has_key;
  std::string_view key;
  std::string_view payload;
};

// Where the table ends and the body, as stored, begins.
inline std::size_t body_offset(const Header& header) {
  return kHeaderBytes + header.count * table_bytes_each(header.flags);
}

// Takes `size` bytes from [at, end) as text; false when there are fewer.
inline bool take(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t size,
                 std::string_view& text) {
  if (size > static_cast<std::uint64_t>(end - at)) return false;
  text = {reinterpret_cast<const char*>(at), static_cast<std::size_t>(size)};
  at += size;
  return true;
}

// Decodes [at, end). Calls `on_header(name, value)` for each header. Gives nullptr, or what is
// wrong.
template <typename OnHeader>
inline const char* decode_record(const std::uint8_t* at, const std::uint8_t* end,
                                 TimeUs first_time_us, RecordParts& parts, OnHeader&& on_header) {
  std::uint64_t number = 0;
  if ((at = get_varint(at, end, number)) == nullptr) return "its time is cut off";
  parts.time_us = static_cast<TimeUs>(static_cast<std::uint64_t>(first_time_us) +
                                      static_cast<std::uint64_t>(unzigzag(number)));

  if ((at = get_varint(at, end, number)) == nullptr) return "its key's length is cut off";
  parts.has_key = number != 0;
  parts.key = {};
  if (parts.has_key && !take(at, end, number - 1, parts.key))
    return "its key is longer than the record";

  std::uint64_t headers = 0;
  if ((at = get_varint(at, end, headers)) == nullptr) return "its number of headers is cut off";
  if (headers > limits::kMaxHeadersPerMessage) return "it has more headers than the limit of 1000";
  for (; headers != 0; --headers) {
    std::string_view name, value;
    if ((at = get_varint(at, end, number)) == nullptr) return "a header name's length is cut off";
    if (number == 0) return "a header has an empty name";
    if (number > limits::kMaxHeaderNameBytes)
      return "a header name is over the limit of 1024 bytes";
    if (!take(at, end, number, name)) return "a header name is longer than the record";
    if ((at = get_varint(at, end, number)) == nullptr) return "a header value's length is cut off";
    if (!take(at, end, number, value)) return "a header value is longer than the record";
    on_header(name, value);
  }
  parts.payload = {reinterpret_cast<const char*>(at), static_cast<std::size_t>(end - at)};
  return nullptr;
}

}  // namespace andyx::batch
