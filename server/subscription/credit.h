// What a delivery costs of a stream's credit in bytes.
#pragma once

#include <cstdint>

namespace andyx::server {

// Credit that `messages` of a stored batch cost: their share of its bytes, rounded up, also where
// only they are sent. A client grants back what Deliver.charged_bytes says.
constexpr std::uint64_t credit_charge(std::uint32_t batch_bytes, std::uint32_t batch_count,
                                      std::uint64_t messages) {
  return (std::uint64_t{batch_bytes} * messages + batch_count - 1) / batch_count;
}

}  // namespace andyx::server
