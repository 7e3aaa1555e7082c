#include "server/metadata/uuid.h"

#include <random>

namespace andyx::server {

Uuid Uuid::random() {
  std::random_device kernel;
  const auto draw = [&] { return (std::uint64_t{kernel()} << 32) | kernel(); };
  Uuid id;
  while (id.is_zero()) id = {draw(), draw()};
  return id;
}

std::string Uuid::text() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint64_t half : {hi, lo}) {
    for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(half >> shift) & 15];
  }
  return out;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  Uuid id;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool decimal = c >= '0' && c <= '9';
    if (!decimal && (c < 'a' || c > 'f')) return std::nullopt;
    std::uint64_t& half = i < 16 ? id.hi : id.lo;
    half = half << 4 | static_cast<std::uint64_t>(decimal ? c - '0' : c - 'a' + 10);
  }
  return id;
}

}  // namespace andyx::server
