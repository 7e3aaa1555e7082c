// A stream as the node names it: a connection, and the client's number on it. A value.
#pragma once

#include <cstddef>
#include <cstdint>

namespace andyx::server {

struct StreamKey {
  std::uint64_t connection = 0;
  std::uint32_t stream = 0;
  bool operator==(const StreamKey&) const = default;
};

struct StreamKeyHash {
  std::size_t operator()(const StreamKey& key) const {
    return (key.connection * 0x9E3779B97F4A7C15ull) ^ key.stream;
  }
};

}  // namespace andyx::server
