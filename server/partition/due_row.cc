#include "server/partition/due_row.h"

namespace andyx::server {
namespace {

constexpr std::size_t kNumberBytes = 8;
constexpr std::size_t kPrefixBytes = 5;
constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;  // flipped, negative times sort first

void put_number(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

std::uint64_t number_at(std::string_view bytes, std::size_t place) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kNumberBytes; ++i)
    number = number << 8 | static_cast<std::uint8_t>(bytes[place + i]);
  return number;
}

}  // namespace

std::string encode_due_key(DueKey key) {
  std::string out;
  out.reserve(2 * kNumberBytes);
  put_number(out, static_cast<std::uint64_t>(key.at_us) ^ kSignBit);
  put_number(out, key.offset);
  return out;
}

std::optional<DueKey> decode_due_key(std::string_view bytes) {
  if (bytes.size() != 2 * kNumberBytes) return std::nullopt;
  return DueKey{static_cast<TimeUs>(number_at(bytes, 0) ^ kSignBit),
                number_at(bytes, kNumberBytes)};
}

std::optional<DueKey> decode_due_row_key(std::string_view row_key) {
  if (row_key.size() < kPrefixBytes) return std::nullopt;
  return decode_due_key(row_key.substr(kPrefixBytes));
}

}  // namespace andyx::server
