// Who waits until a loop has applied the metadata up to a position. Pure; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "server/metadata/image.h"

namespace andyx::server {

class ImageWaiters {
 public:
  // True: the position is reached; false: the time is up. Dropped uncalled with the waiters.
  using Done = std::move_only_function<void(bool)>;

  void add(Position version, std::uint64_t until_ms, Done done) {
    waiting_.push_back({version, until_ms, std::move(done)});
  }
  // The image is at `position` now.
  void moved(Position position) {
    tell(true, [position](const Waiting& one) { return one.version <= position; });
  }
  void expire(std::uint64_t now_ms) {
    tell(false, [now_ms](const Waiting& one) { return one.until_ms <= now_ms; });
  }
  void clear() { waiting_.clear(); }

 private:
  struct Waiting {
    Position version = 0;
    std::uint64_t until_ms = 0;
    Done done;
  };

  // Those may add others.
  template <typename Over>
  void tell(bool reached, Over over) {
    std::vector<Done> told;
    std::erase_if(waiting_, [&](Waiting& one) {
      if (!over(one)) return false;
      told.push_back(std::move(one.done));
      return true;
    });
    for (Done& done : told) done(reached);
  }

  std::vector<Waiting> waiting_;
};

}  // namespace andyx::server
