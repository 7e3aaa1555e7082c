// Ref-counted bytes: a slab that many slices share. A slice keeps its whole slab alive, so memory
// is charged by capacity (charged_bytes). The count is atomic: slices may be copied and dropped on
// any thread. The bytes must not change once they are shared, except by the single owner of a batch
// who patches the server's fields before he hands it on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace andyx {

using ByteSpan = std::span<const std::uint8_t>;

class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(const SharedBytes& other) noexcept;
  SharedBytes(SharedBytes&& other) noexcept;
  SharedBytes& operator=(SharedBytes other) noexcept;
  ~SharedBytes();

  static SharedBytes allocate(std::size_t size_bytes);  // uninitialised; aborts when memory is out
  static SharedBytes copy_of(ByteSpan bytes);

  SharedBytes slice(std::size_t offset,
                    std::size_t size_bytes) const;  // shares the slab; asserts the range

  const std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteSpan span() const { return {data_, size_}; }
  std::uint8_t* mutable_data() { return data_; }  // see the rule above
  std::size_t charged_bytes() const;              // capacity of the whole slab
  bool unique() const;                            // nobody else holds the slab

 private:
  struct Slab;
  SharedBytes(Slab* slab, std::uint8_t* data, std::size_t size);
  Slab* slab_ = nullptr;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace andyx
