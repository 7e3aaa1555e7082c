#include "protocol/base/shared_bytes.h"

#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "protocol/base/limits.h"

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
      give_back(this);
    }
  }
  static Slab* make(std::size_t capacity_bytes);
  static void give_back(Slab* slab);
};

namespace {

// Under a sanitizer every slab is one of its own, so that a late use is seen.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kPooled = false;
#elif defined(__has_feature)
constexpr bool kPooled = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool kPooled = true;
#endif

constexpr std::size_t kLeastPooledBytes = 32 * limits::kKiB, kMostPooledBytes = 2 * limits::kMiB;
constexpr std::size_t kSteps = 8;  // capacities between one power of two and the next

constexpr bool is_pooled(std::size_t capacity_bytes) {
  return kPooled && capacity_bytes >= kLeastPooledBytes && capacity_bytes <= kMostPooledBytes;
}

// The next capacity that slabs are made in: at most an eighth more.
constexpr std::size_t rounded(std::size_t size_bytes) {
  const std::size_t step = std::bit_floor(size_bytes) / kSteps;
  return (size_bytes + step - 1) / step * step;
}

constexpr std::size_t index_of(std::size_t capacity_bytes) {
  const std::size_t power = std::bit_floor(capacity_bytes);
  const auto doublings =
      static_cast<std::size_t>(std::countr_zero(power) - std::countr_zero(kLeastPooledBytes));
  return doublings * kSteps + (capacity_bytes - power) / (power / kSteps);
}

// Large slabs that nobody holds, for those who need one next. The allocator would give their pages
// back to the kernel at once, which then clears and maps them anew for every slab received.
class SlabPool {
 public:
  static SlabPool& instance() {
    static auto* pool = new SlabPool;  // never destroyed: slabs may end after it
    return *pool;
  }

  void* take(std::size_t capacity_bytes) {
    const std::lock_guard lock(mutex_);
    Free*& first = free_[index_of(capacity_bytes)];
    if (first == nullptr) return nullptr;
    bytes_ -= capacity_bytes;
    return std::exchange(first, first->next);
  }

  // False: there are enough.
  bool put(void* memory, std::size_t capacity_bytes) {
    const std::lock_guard lock(mutex_);
    if (bytes_ + capacity_bytes > limits::kSlabPoolBytes) return false;
    bytes_ += capacity_bytes;
    Free*& first = free_[index_of(capacity_bytes)];
    first = new (memory) Free{first};
    return true;
  }

 private:
  struct Free {
    Free* next;
  };

  std::mutex mutex_;
  std::array<Free*, index_of(kMostPooledBytes) + 1> free_{};
  std::size_t bytes_ = 0;
};

}  // namespace

SharedBytes::Slab* SharedBytes::Slab::make(std::size_t capacity_bytes) {
  void* memory = nullptr;
  if (is_pooled(capacity_bytes)) {
    capacity_bytes = rounded(capacity_bytes);
    memory = SlabPool::instance().take(capacity_bytes);
  }
  if (memory == nullptr) memory = std::malloc(sizeof(Slab) + capacity_bytes);
  if (memory == nullptr) std::abort();
  return new (memory) Slab(capacity_bytes);
}

void SharedBytes::Slab::give_back(Slab* slab) {
  const std::size_t capacity_bytes = slab->capacity;
  slab->~Slab();
  if (is_pooled(capacity_bytes) && SlabPool::instance().put(slab, capacity_bytes)) return;
  std::free(slab);
}

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
  Slab* slab = Slab::make(size_bytes);
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
