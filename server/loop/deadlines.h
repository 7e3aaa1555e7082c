// Things to be done at a time, of one loop: a heap of coarse entries, looked at in each short tick.
// One entry stands for whatever a component has to do then, never for a single message.
//
// Thread: its loop. An owner that ends first lets its token expire: the entry is dropped when due.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

namespace andyx::server {

class Deadlines {
 public:
  using Alive = std::weak_ptr<bool>;

  // `run` at the first tick at or after `at_ms` (the loop's now_ms).
  void add(std::uint64_t at_ms, Alive alive, std::function<void()> run) {
    heap_.push({at_ms, next_++, std::move(alive), std::move(run)});
  }

  void run_due(std::uint64_t now_ms) {
    while (!heap_.empty() && heap_.top().at_ms <= now_ms) {
      Entry due = heap_.top();
      heap_.pop();
      if (!due.alive.expired()) due.run();
    }
  }

  std::size_t size() const { return heap_.size(); }
  void clear() { heap_ = {}; }

 private:
  struct Entry {
    std::uint64_t at_ms = 0;
    std::uint64_t order = 0;
    Alive alive;
    std::function<void()> run;

    bool operator<(const Entry& other) const {  // the heap's top is the earliest
      return std::pair(at_ms, order) > std::pair(other.at_ms, other.order);
    }
  };

  std::priority_queue<Entry> heap_;
  std::uint64_t next_ = 0;
};

}  // namespace andyx::server
