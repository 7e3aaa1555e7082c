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

}  // namespace andyx::server
