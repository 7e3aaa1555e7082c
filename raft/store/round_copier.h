// A thread that writes a round's copy into the watermark while the store's thread writes the round
// into the WAL: two syncs that take the time of one.
//
// One round at a time: begin(), then finish(), from the store's thread. The watermark is this
// thread's in between.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "raft/store/watermark.h"

namespace andyx::raft {

class RoundCopier {
 public:
  explicit RoundCopier(Watermark& watermark);
  ~RoundCopier();  // after finish()
  RoundCopier(const RoundCopier&) = delete;
  RoundCopier& operator=(const RoundCopier&) = delete;

  void begin(MarkedRound round);
  // Waits until it is durable, or failed.
  Status finish();

 private:
  void run();

  Watermark& watermark_;
  std::mutex mutex_;
  std::condition_variable begun_, finished_;
  std::optional<MarkedRound> round_;
  std::optional<Status> outcome_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace andyx::raft
