// What FlatBuffers' verifier leaves open: where the items of a vector lie. In damaged bytes one may
// be taken for another, whose items need less.
#pragma once

#include <cstdint>

namespace andyx::server {

// Of numbers or structs that need up to 8 bytes; null: there is none.
template <typename Vector>
bool is_aligned(const Vector* vector) {
  constexpr std::uintptr_t kAlignment = 8;
  // FlatBuffers puts an empty one anywhere.
  return vector == nullptr || vector->size() == 0 ||
         reinterpret_cast<std::uintptr_t>(vector->Data()) % kAlignment == 0;
}

}  // namespace andyx::server
