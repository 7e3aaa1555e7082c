// A hash map of small values under integer keys, in one array (open addressing, linear probing, no
// tombstones): no allocation for each entry. Pure; one thread. Gives its memory back when it
// becomes empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace andyx::server {

template <typename Key, typename Value>
class FlatMap {
 public:
  std::size_t size() const { return size_; }

  // Valid until the next change.
  Value* find(Key key) {
    if (size_ == 0) return nullptr;
    for (std::size_t at = home(key); slots_[at].used; at = next(at))
      if (slots_[at].key == key) return &slots_[at].value;
    return nullptr;
  }
  const Value* find(Key key) const { return const_cast<FlatMap*>(this)->find(key); }

  // The value under `key`, which begins as Value{}. Valid until the next change.
  Value& at(Key key) {
    if (Value* found = find(key)) return *found;
    if (2 * (size_ + 1) > slots_.size()) grow();
    std::size_t at = home(key);
    while (slots_[at].used) at = next(at);
    slots_[at] = {.key = key, .used = true, .value = {}};
    ++size_;
    return slots_[at].value;
  }

  void erase(Key key) {
    if (size_ == 0) return;
    std::size_t hole = home(key);
    while (slots_[hole].used && slots_[hole].key != key) hole = next(hole);
    if (!slots_[hole].used) return;
    if (--size_ == 0 && slots_.size() > kIdleSlots) {
      slots_ = {};
      return;
    }
    // Whoever stands behind the hole because of it moves up.
    for (std::size_t at = next(hole); slots_[at].used; at = next(at)) {
      const std::size_t wanted = home(slots_[at].key);
      if (((at - wanted) & mask()) < ((at - hole) & mask())) continue;
      slots_[hole] = std::move(slots_[at]);
      hole = at;
    }
    slots_[hole] = {};
  }

  void clear() {
    slots_ = {};
    size_ = 0;
  }

 private:
  struct Slot {
    Key key{};
    bool used = false;
    Value value{};
  };
  static constexpr std::size_t kIdleSlots = 64;

  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t next(std::size_t at) const { return (at + 1) & mask(); }
  std::size_t home(Key key) const {
    return static_cast<std::size_t>((std::uint64_t{key} * 0x9E3779B97F4A7C15ull) >> 32) & mask();
  }

  void grow() {
    std::vector<Slot> old = std::exchange(slots_, {});
    slots_.resize(old.empty() ? 16 : 2 * old.size());
    for (Slot& slot : old) {
      if (!slot.used) continue;
      std::size_t at = home(slot.key);
      while (slots_[at].used) at = next(at);
      slots_[at] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t size_ = 0;
};

}  // namespace andyx::server
