// The appends that are under way to one peer: a window bounded in messages and bytes. Value.
#pragma once

#include <cstdint>
#include <deque>

#include "raft/core/types.h"

namespace andyx::raft {

class Inflights {
 public:
  // `max_bytes` is soft: the message that passes it is still sent. 0 or kNoLimit: none.
  Inflights(std::uint32_t max_messages, std::uint64_t max_bytes)
      : max_messages_(max_messages), max_bytes_(max_bytes == 0 ? kNoLimit : max_bytes) {}

  // Not when full; `last` never decreases.
  void add(Index last, std::uint64_t bytes) {
    window_.push_back({last, bytes});
    bytes_ += bytes;
  }
  // Frees every append whose last entry is at or below `index`.
  void free_through(Index index) {
    while (!window_.empty() && window_.front().last <= index) {
      bytes_ -= window_.front().bytes;
      window_.pop_front();
    }
  }
  void clear() {
    window_.clear();
    bytes_ = 0;
  }
  bool full() const { return window_.size() >= max_messages_ || bytes_ >= max_bytes_; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(window_.size()); }

 private:
  struct Append {
    Index last;
    std::uint64_t bytes;
  };
  std::uint32_t max_messages_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;
  std::deque<Append> window_;
};

}  // namespace andyx::raft
