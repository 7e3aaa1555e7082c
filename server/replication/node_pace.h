// The pace of catching up of a node, whose loops share one disk: CatchUpPace under a lock, on the
// monotonic clock. Any thread.
#pragma once

#include <mutex>
#include <optional>
#include <type_traits>

#include "protocol/net/loop.h"
#include "server/replication/catch_up_pace.h"

namespace andyx::server {

class NodePace {
 public:
  void wrote(std::uint64_t age_us) {
    with([&](CatchUpPace& pace, std::uint64_t now_us) { pace.wrote(age_us, now_us); });
  }
  void waits(std::uint64_t age_us) {
    with([&](CatchUpPace& pace, std::uint64_t now_us) { pace.waits(age_us, now_us); });
  }
  bool take(std::uint64_t bytes) {
    return with([&](CatchUpPace& pace, std::uint64_t now_us) { return pace.take(bytes, now_us); });
  }
  void give_back(std::uint64_t bytes) {
    with([&](CatchUpPace& pace, std::uint64_t) { pace.give_back(bytes); });
  }
  void grew(std::uint64_t bytes) {
    with([&](CatchUpPace& pace, std::uint64_t) { pace.grew(bytes); });
  }
  std::optional<std::uint64_t> limit() {
    return with([](CatchUpPace& pace, std::uint64_t now_us) { return pace.limit(now_us); });
  }
  std::size_t share(std::size_t waiting, std::size_t most) {
    return with(
        [&](CatchUpPace& pace, std::uint64_t now_us) { return pace.share(waiting, most, now_us); });
  }

 private:
  template <typename Use>
  std::invoke_result_t<Use, CatchUpPace&, std::uint64_t> with(Use&& use) {
    const std::lock_guard lock(mutex_);  // the clock inside: it must not go back
    return use(pace_, net::monotonic_ns() / 1'000);
  }

  std::mutex mutex_;
  CatchUpPace pace_;
};

}  // namespace andyx::server
