#include "tools/compare_load/fields.h"

namespace andyx::compare {

void FieldWriter::varint(std::int64_t value) {
  auto rest = static_cast<std::uint64_t>(value << 1 ^ value >> 63);
  while (rest >= 0x80) {
    out_.push_back(static_cast<char>(rest | 0x80));
    rest >>= 7;
  }
  out_.push_back(static_cast<char>(rest));
}

std::string_view FieldReader::bytes(std::int64_t count) {
  if (count < 0) return {};
  if (static_cast<std::uint64_t>(count) > bytes_.size()) {
    failed<int>();
    return {};
  }
  const std::string_view taken = bytes_.substr(0, static_cast<std::size_t>(count));
  bytes_.remove_prefix(taken.size());
  return taken;
}

std::int64_t FieldReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes_.empty()) return failed<std::int64_t>();
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if ((byte & 0x80) == 0) {
      return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
  }
  return failed<std::int64_t>();
}

}  // namespace andyx::compare
