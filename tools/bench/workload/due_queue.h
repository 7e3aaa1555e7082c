// When the messages that wait for their acknowledgement were due, first in, first out. One thread
// pushes, before it sends the message; another one pops, when the message is answered: what the
// client does between the two orders them, so that nothing is locked here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace andyx::bench {

class DueQueue {
 public:
  DueQueue() : head_(new Chunk), tail_(head_) {}
  DueQueue(DueQueue&& other) = delete;
  ~DueQueue() {
    while (head_ != nullptr) delete std::exchange(head_, head_->next);
  }

  void push(std::uint64_t due_ns) {
    if (pushed_ == kChunk) {
      tail_->next = new Chunk;
      tail_ = tail_->next;
      pushed_ = 0;
    }
    tail_->due_ns[pushed_++] = due_ns;
  }

  // Of a message that was pushed.
  std::uint64_t pop() {
    if (popped_ == kChunk) {
      delete std::exchange(head_, head_->next);
      popped_ = 0;
    }
    return head_->due_ns[popped_++];
  }

 private:
  static constexpr std::size_t kChunk = 1'024;
  struct Chunk {
    std::array<std::uint64_t, kChunk> due_ns;
    Chunk* next = nullptr;
  };

  Chunk* head_;  // of the thread that pops
  std::size_t popped_ = 0;
  alignas(64) Chunk* tail_;  // of the thread that pushes
  std::size_t pushed_ = 0;
};

}  // namespace andyx::bench
