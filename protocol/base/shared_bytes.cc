#include "protocol/base/shared_bytes.h"

#include <atomic>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace andyx {

// The bytes follow the slab's own fields; 16 keeps them aligned as malloc would.
struct alignas(16) SharedBytes::Slab {
  std::atomic<std::uint32_t> holders{1};
  std::size_t capacity;

  explicit Slab(std::size_t capacity_bytes) : capacity(capacity_bytes) {}
  std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(this + 1); }

  void acquire() { holders.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    // A sole holder needs no atomic write: nobody is left who could race with it.
    if (holders.load(std::memory_order_acquire) == 1 ||
        holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      this->~Slab();
      std::free(this);
    }
  }
};

SharedBytes::SharedBytes(Slab* slab, std::uint8_t* data, std::size_t size)
    : slab_(slab), data_(data), size_(size) {}

SharedBytes::SharedBytes(const SharedBytes& other) noexcept
    : slab_(other.slab_), data_(other.data_), size_(other.size_) {
  if (slab_ != nullptr) slab_->acquire();
}

SharedBytes::SharedBytes(SharedBytes&& other) noexcept
    : slab_(std::exchange(other.slab_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

SharedBytes& SharedBytes::operator=(SharedBytes other) noexcept {
  std::swap(slab_, other.slab_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SharedBytes::~SharedBytes() {
  if (slab_ != nullptr) slab_->release();
}

SharedBytes SharedBytes::allocate(std::size_t size_bytes) {
  if (size_bytes == 0) return {};
  void* memory = std::malloc(sizeof(Slab) + size_bytes);
  if (memory == nullptr) std::abort();
  auto* slab = new (memory) Slab(size_bytes);
  return {slab, slab->bytes(), size_bytes};
}

SharedBytes SharedBytes::copy_of(ByteSpan bytes) {
  auto copy = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data_, bytes.data(), bytes.size());
  return copy;
}

SharedBytes SharedBytes::slice(std::size_t offset, std::size_t size_bytes) const {
  assert(offset <= size_ && size_bytes <= size_ - offset);
  if (slab_ == nullptr) return {};
  slab_->acquire();
  return {slab_, data_ + offset, size_bytes};
}

std::size_t SharedBytes::charged_bytes() const { return slab_ == nullptr ? 0 : slab_->capacity; }

bool SharedBytes::unique() const {
  return slab_ == nullptr || slab_->holders.load(std::memory_order_acquire) == 1;
}

}  // namespace andyx
