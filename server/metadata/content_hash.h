// The bytes that a content hash covers, gathered field by field in a fixed order and width, so that
// the hash is the same on every machine. One thread; short-lived.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/shared_bytes.h"
#include "server/metadata/uuid.h"

namespace andyx::server {

std::uint64_t xxh3_64(ByteSpan bytes);

class ContentHash {
 public:
  ContentHash& number(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) bytes_ += static_cast<char>(value >> shift);
    return *this;
  }
  ContentHash& text(std::string_view value) {
    number(value.size());
    bytes_ += value;
    return *this;
  }
  ContentHash& id(const Uuid& value) { return number(value.hi).number(value.lo); }

  std::uint64_t finish() const {
    return xxh3_64({reinterpret_cast<const std::uint8_t*>(bytes_.data()), bytes_.size()});
  }

 private:
  std::string bytes_;
};

}  // namespace andyx::server
